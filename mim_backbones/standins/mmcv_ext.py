"""mmcv._ext without a compiler: mmcv's calling conventions over `mim_backbones.standins`.

mmcv's ops pass the tensors to fill as arguments; that is why most functions here return nothing.
nms and RoIAlign use torchvision's compiled kernels when they load.
"""

from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor

from mim_backbones.errors import UserError
from mim_backbones.standins import focal_loss, providers, soft_nms
from mim_backbones.standins import nms as nms_kernel
from mim_backbones.standins import roi_align as roi_align_kernel
from mim_backbones.standins.roi_grid import RoIGrid

SUPPLIED = (
    'nms',
    'softnms',
    'roi_align_forward',
    'roi_align_backward',
    'sigmoid_focal_loss_forward',
    'sigmoid_focal_loss_backward',
    'get_compiler_version',
    'get_compiling_cuda_version',
)
MAX_POOLING = 0  # mmcv's pool_mode: 0 max, 1 avg


def unsupported_op(name: str) -> Callable[..., NoReturn]:
    """Any other op of mmcv._ext: mmcv.ops looks all of them up, so only the call may raise."""
    if name.startswith('__'):
        raise AttributeError(name)

    def op(*args: object, **kwargs: object) -> NoReturn:
        raise UserError(
            f'mmcv op {name!r} needs a compiled mmcv, and this one was installed without; '
            'build it with MIMBENCH_BUILD_OPS=1 bash tools/setup.sh'
        )

    return op


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """boxes (N, 4), scores (N,) -> kept indices (M,) int64, best score first."""
    if not providers.torchvision_compiled():
        return nms_kernel.nms(boxes, scores, iou_threshold, offset)
    dtype = torch.promote_types(boxes.dtype, torch.float32)
    boxes = boxes.to(dtype)
    if offset:  # torchvision has none: moving the far edge is the same thing
        boxes = torch.cat((boxes[:, :2], boxes[:, 2:] + offset), 1)
    return torch.ops.torchvision.nms(boxes, scores.to(dtype), iou_threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Fills dets (N, 5) from the top with picked boxes and scores; returns their indices (M,)."""
    rows, picked = soft_nms.soft_nms(
        boxes, scores, iou_threshold, sigma, min_score, soft_nms.METHODS[method], offset
    )
    dets[: len(rows)] = rows
    return picked


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fills output (K, C, h, w); no max pooling, which detectors do not use."""
    grid = RoIGrid((aligned_height, aligned_width), spatial_scale, sampling_ratio, aligned)
    if pool_mode == MAX_POOLING:
        unsupported_op('roi_align with pool_mode max')()
    if providers.torchvision_compiled():
        dtype = torch.promote_types(input.dtype, torch.float32)  # it has no bfloat16
        pooled = torch.ops.torchvision.roi_align(
            input.to(dtype),
            rois.to(dtype),
            spatial_scale,
            *grid.output_size,
            sampling_ratio,
            aligned,
        )
    else:
        pooled = roi_align_kernel.roi_align(input, rois, grid)
    output.copy_(pooled)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fills grad_input (B, C, H, W)."""
    grid = RoIGrid((aligned_height, aligned_width), spatial_scale, sampling_ratio, aligned)
    shape = grad_input.shape
    if providers.torchvision_compiled():
        dtype = torch.promote_types(grad_output.dtype, torch.float32)
        grad = torch.ops.torchvision._roi_align_backward(
            grad_output.to(dtype),
            rois.to(dtype),
            spatial_scale,
            *grid.output_size,
            *shape,
            sampling_ratio,
            aligned,
        )
    else:
        grad = roi_align_kernel.roi_align_backward(grad_output, rois, shape, grid)
    grad_input.copy_(grad)


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fills output (N, C). An empty weight stands for none."""
    rows = weight if weight.numel() else None
    output.copy_(focal_loss.sigmoid_focal_loss(input, target, rows, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Fills grad_input (N, C) with the derivative of each element; mmcv applies the chain rule."""
    rows = weight if weight.numel() else None
    grad_input.copy_(focal_loss.sigmoid_focal_loss_backward(input, target, rows, gamma, alpha))


def get_compiler_version() -> str:
    return 'not compiled'


def get_compiling_cuda_version() -> str:
    return 'not compiled'
