"""torchvision's operators for a torchvision whose compiled library did not load.

All schemas are declared, because torchvision's own Python registers shapes and gradients for every
one of them while it is imported. nms and roi_align get kernels; the rest raise when called.
Schemas: `torch.ops.torchvision.*` of torchvision 0.19 to 0.28.
"""

from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor

from mim_backbones.errors import UserError
from mim_backbones.standins import nms as nms_kernel
from mim_backbones.standins import roi_align as roi_align_kernel
from mim_backbones.standins.roi_grid import RoIGrid

_POOLED = 'float spatial_scale, SymInt pooled_height, SymInt pooled_width'
_INPUT_SHAPE = 'SymInt batch_size, SymInt channels, SymInt height, SymInt width'
_CONV = (
    'SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, '
    'SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask'
)
_FIVE = '(Tensor, Tensor, Tensor, Tensor, Tensor)'

SCHEMAS = (
    'nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    f'roi_align(Tensor input, Tensor rois, {_POOLED}, int sampling_ratio, bool aligned) -> Tensor',
    f'_roi_align_backward(Tensor grad, Tensor rois, {_POOLED}, {_INPUT_SHAPE}, '
    'int sampling_ratio, bool aligned) -> Tensor',
    'qroi_align(Tensor input, float input_scale, int input_zero_point, Tensor rois, '
    f'float rois_scale, int rois_zero_point, {_POOLED}, int sampling_ratio, bool aligned) '
    '-> Tensor',
    f'roi_pool(Tensor input, Tensor rois, {_POOLED}) -> (Tensor, Tensor)',
    f'_roi_pool_backward(Tensor grad, Tensor rois, Tensor argmax, {_POOLED}, {_INPUT_SHAPE}) '
    '-> Tensor',
    f'ps_roi_align(Tensor input, Tensor rois, {_POOLED}, int sampling_ratio) -> (Tensor, Tensor)',
    f'_ps_roi_align_backward(Tensor grad, Tensor rois, Tensor channel_mapping, {_POOLED}, '
    f'int sampling_ratio, {_INPUT_SHAPE}) -> Tensor',
    f'ps_roi_pool(Tensor input, Tensor rois, {_POOLED}) -> (Tensor, Tensor)',
    f'_ps_roi_pool_backward(Tensor grad, Tensor rois, Tensor channel_mapping, {_POOLED}, '
    f'{_INPUT_SHAPE}) -> Tensor',
    'deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, '
    f'{_CONV}) -> Tensor',
    '_deform_conv2d_backward(Tensor grad, Tensor input, Tensor weight, Tensor offset, '
    f'Tensor mask, Tensor bias, {_CONV}) -> {_FIVE}',
    'box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor',
    '_cuda_version() -> int',
)

# A Library that is garbage-collected takes its operators with it.
_library: torch.library.Library | None = None


def define() -> None:
    """Declare every operator of torchvision and give it a kernel. Once per process."""
    global _library
    assert _library is None, 'torchvision.extension is executed once'
    kernels: dict[str, Callable] = {
        'nms': _nms,
        'roi_align': _roi_align,
        '_roi_align_backward': _roi_align_backward,
        '_cuda_version': lambda: -1,  # what torchvision itself answers for a build without CUDA
    }
    _library = torch.library.Library('torchvision', 'FRAGMENT')
    for schema in SCHEMAS:
        name = _library.define(schema).split('::')[-1]
        # One kernel for every device: ours are made of PyTorch operators.
        _library.impl(name, kernels.get(name) or _raising(name), 'CompositeExplicitAutograd')


def is_defined() -> bool:
    """Whether this process runs on these operators and not on torchvision's compiled ones."""
    return _library is not None


def _nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    return nms_kernel.nms(dets, scores, iou_threshold)


def _roi_align(
    input: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    grid = RoIGrid((pooled_height, pooled_width), spatial_scale, sampling_ratio, aligned)
    return roi_align_kernel.roi_align(input, rois, grid)


def _roi_align_backward(
    grad: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    batch_size: int,
    channels: int,
    height: int,
    width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    grid = RoIGrid((pooled_height, pooled_width), spatial_scale, sampling_ratio, aligned)
    shape = (batch_size, channels, height, width)
    return roi_align_kernel.roi_align_backward(grad, rois, shape, grid)


def _raising(name: str) -> Callable[..., NoReturn]:
    def kernel(*args: object, **kwargs: object) -> NoReturn:
        raise UserError(
            f"torchvision op {name!r} needs torchvision's compiled library, which does not load "
            f'with torch {torch.__version__}; install the torchvision build made for this torch'
        )

    return kernel
