"""The slow side of the comparison must compute the same thing, or the ratio says nothing."""

import pytest
import torch

from mim_backbones.bench import naive_ops

torch.set_num_threads(1)


def test_nms_agrees():
    from mmcv.ops import nms

    torch.manual_seed(0)
    corner = torch.rand(300, 2) * 60
    boxes, scores = torch.cat((corner, corner + torch.rand(300, 2) * 40), 1), torch.rand(300)
    assert torch.equal(naive_ops.nms(boxes, scores, 0.5), nms(boxes, scores, 0.5)[1])


@pytest.mark.parametrize('ratio', [0, 2])
def test_roi_align_agrees_inside_the_map(ratio):
    from mmcv.ops import roi_align

    torch.manual_seed(0)
    feature, corner = torch.randn(2, 3, 10, 12), torch.rand(9, 2) * 10
    rois = torch.cat((torch.randint(0, 2, (9, 1)), corner, corner + 1 + torch.rand(9, 2) * 28), 1)
    naive = naive_ops.roi_align(feature, rois, 3, 0.25, ratio)
    torch.testing.assert_close(
        naive, roi_align(feature, rois, (3, 3), 0.25, ratio), rtol=1e-4, atol=1e-5
    )
