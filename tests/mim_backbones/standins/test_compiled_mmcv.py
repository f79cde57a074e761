"""Our kernels against mmcv's compiled ones, where those are installed (MIMBENCH_BUILD_OPS=1)."""

import pytest
import torch

from mim_backbones.standins import nms as nms_module
from mim_backbones.standins import providers
from mim_backbones.standins import roi_align as roi_align_module
from mim_backbones.standins import soft_nms as soft_nms_module
from mim_backbones.standins.roi_grid import RoIGrid

torch.set_num_threads(1)

pytestmark = pytest.mark.skipif(
    not providers.mmcv_compiled(),
    reason='mmcv has no compiled ops here: MIMBENCH_BUILD_OPS=1 bash tools/setup.sh',
)


def boxes_and_scores(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    corner = torch.rand(count, 2) * 100
    return torch.cat((corner, corner + torch.rand(count, 2) * 40), 1), torch.rand(count)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.3, 0.7])
def test_nms(threshold, offset):
    from mmcv.ops import nms

    boxes, scores = boxes_and_scores(3000)  # no equal scores: mmcv's sort leaves their order open
    _, keep = nms(boxes, scores, threshold, offset)
    assert torch.equal(nms_module.nms(boxes, scores, threshold, offset), keep)


@pytest.mark.parametrize('method', soft_nms_module.METHODS)
def test_soft_nms(method):
    from mmcv.ops import soft_nms

    boxes, scores = boxes_and_scores(300)
    dets, keep = soft_nms(boxes, scores, 0.3, 0.5, 1e-2, method)
    rows, picked = soft_nms_module.soft_nms(boxes, scores, 0.3, 0.5, 1e-2, method)
    assert torch.equal(picked, keep)
    torch.testing.assert_close(rows, dets)


@pytest.mark.parametrize('ratio', [0, 2])
@pytest.mark.parametrize('aligned', [True, False])
def test_roi_align(ratio, aligned):
    from mmcv.ops import roi_align

    boxes, _ = boxes_and_scores(60)
    feature = torch.randn(2, 16, 25, 30, requires_grad=True)
    rois = torch.cat((torch.randint(0, 2, (60, 1)), boxes - 10), 1)
    grid = RoIGrid((7, 7), 0.25, ratio, aligned)
    expected = roi_align(feature, rois, (7, 7), 0.25, ratio, 'avg', aligned)
    grad = torch.randn_like(expected)
    expected.backward(grad)
    pooled = roi_align_module.roi_align(feature, rois, grid)
    back = roi_align_module.roi_align_backward(grad, rois, feature.shape, grid)
    torch.testing.assert_close(pooled, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(back, feature.grad, rtol=1e-4, atol=1e-4)
