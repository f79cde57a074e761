"""mmcv's own functions over the stand-in: calling conventions, gradients, unsupported ops."""

import importlib.util

import pytest
import torch

from mim_backbones import standins
from mim_backbones.errors import UserError
from mim_backbones.standins import mmcv_ext

torch.set_num_threads(1)

COMPILED = standins.provider()['roi_align'] == 'mmcv compiled'
needs_standin = pytest.mark.skipif(COMPILED, reason='a compiled mmcv is installed and used')


@needs_standin
def test_every_op_imports_and_only_the_call_raises():
    import mmcv._ext
    import mmcv.ops

    assert importlib.util.find_spec('mmcv._ext').origin == 'mim_backbones.standins'
    assert mmcv._ext.nms is mmcv_ext.nms
    pool = mmcv.ops.RoIPool(2)
    with pytest.raises(UserError, match=r"'roi_pool_forward'.*MIMBENCH_BUILD_OPS=1"):
        pool(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5))
    with pytest.raises(AttributeError):
        _ = mmcv._ext.__wrapped__
    assert mmcv.ops.get_compiler_version() == 'not compiled'


@pytest.mark.parametrize('ratio', [0, 2])
@pytest.mark.parametrize('aligned', [True, False])
def test_roi_align_gradient(ratio, aligned):
    from mmcv.ops import roi_align

    torch.manual_seed(0)
    feature = torch.randn(2, 2, 6, 5, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor(
        [[0, 1, 2, 9, 14.5], [1, -6, 3, 30, 11], [1, 4, 4, 6, 5]], dtype=torch.float64
    )
    assert torch.autograd.gradcheck(
        lambda x: roi_align(x, rois, (2, 3), 0.5, ratio, 'avg', aligned), (feature,)
    )


@needs_standin
def test_max_pooling_needs_a_compiled_mmcv():
    from mmcv.ops import roi_align

    rois = torch.tensor([[0.0, 1, 2, 9, 14]])
    with pytest.raises(UserError, match=r"'roi_align with pool_mode max' needs a compiled mmcv"):
        roi_align(torch.ones(1, 2, 6, 5), rois, (2, 3), 0.5, 2, 'max', True)


@needs_standin  # a compiled mmcv has no focal loss on CPU
@pytest.mark.parametrize('reduction', ['sum', 'mean'])
def test_focal_loss_gradient(reduction):
    from mmcv.ops import sigmoid_focal_loss

    torch.manual_seed(0)
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    target, weight = torch.tensor([0, 1, 2, 3, 3]), torch.rand(3, dtype=torch.float64)
    for rows in (None, weight):
        assert torch.autograd.gradcheck(
            lambda x, rows=rows: sigmoid_focal_loss(x, target, 2.0, 0.25, rows, reduction), logits
        )


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@needs_standin  # a compiled mmcv has no bfloat16 on CPU
def test_roi_align_in_half_precision(dtype):
    from mmcv.ops import RoIAlign

    feature = torch.ones(1, 3, 8, 8, dtype=dtype, requires_grad=True)
    pooled = RoIAlign(2, 0.5, 2)(feature, torch.tensor([[0, 2, 2, 10, 10]], dtype=dtype))
    pooled.sum().backward()
    assert pooled.dtype == feature.grad.dtype == dtype
    assert (pooled == 1).all()
    assert feature.grad.sum() == pooled.numel()


def test_nms_functions():
    from mmcv.ops import batched_nms, nms, soft_nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 9]])
    scores = torch.tensor([0.5, 0.9, 0.7])
    dets, keep = nms(boxes, scores, 0.75)
    assert keep.tolist() == [1]
    assert dets.tolist() == [[0, 0, 10, 8, pytest.approx(0.9)]]
    _, keep = nms(boxes, scores, 0.75, score_threshold=0.6, max_num=5)
    assert keep.tolist() == [1]
    _, keep = batched_nms(
        boxes, scores, torch.tensor([0, 1, 1]), {'type': 'nms', 'iou_threshold': 0.5}
    )
    assert keep.tolist() == [1, 0]
    dets, keep = soft_nms(boxes.numpy(), scores.numpy(), 0.5, method='naive')
    assert keep.tolist() == [1]
    assert dets.shape == (1, 5)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_torchvision_kernels_and_ours_agree(monkeypatch, dtype):
    """The branch taken when torchvision's operators load; here they may be our own."""
    import torchvision  # noqa: F401  brings torch.ops.torchvision

    torch.manual_seed(0)
    feature = torch.randn(2, 3, 12, 12, dtype=dtype)
    corner = torch.rand(8, 2) * 30
    rois = torch.cat((torch.randint(0, 2, (8, 1)), corner, corner + torch.rand(8, 2) * 20), 1)
    rois, empty = rois.to(dtype), feature.new_zeros(0)
    boxes, scores = rois[:, 1:], torch.rand(8)
    settings = {
        'aligned_height': 3,
        'aligned_width': 3,
        'spatial_scale': 0.25,
        'sampling_ratio': 0,
        'pool_mode': 1,
        'aligned': True,
    }
    answers = []
    for compiled in (True, False):
        monkeypatch.setattr(
            mmcv_ext.providers, 'torchvision_compiled', lambda found=compiled: found
        )
        pooled, back = torch.empty(8, 3, 3, 3, dtype=dtype), torch.empty_like(feature)
        mmcv_ext.roi_align_forward(feature, rois, pooled, empty, empty, **settings)
        mmcv_ext.roi_align_backward(pooled, rois, empty, empty, back, **settings)
        kept = [mmcv_ext.nms(boxes, scores, iou_threshold=0.3, offset=offset) for offset in (0, 1)]
        answers.append((pooled, back, *kept))
    torch.testing.assert_close(*answers, rtol=2e-3, atol=2e-3)
