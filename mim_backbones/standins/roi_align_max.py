"""RoIAlign with max pooling: each bin takes its largest sample, each channel on its own.

The position of that sample is kept for the backward pass, which then spreads the gradient over the
four pixels around it. Rare in practice (detectors pool averages), so it is plain, not fast.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from mim_backbones.standins.roi_grid import RoIGrid, corners

NOWHERE = -1.0  # argmax of a bin without samples, mmcv's mark


@torch.no_grad()
def roi_align_max(feature: Tensor, rois: Tensor, grid: RoIGrid) -> tuple[Tensor, Tensor, Tensor]:
    """feature (B, C, H, W), rois (K, 5) -> pooled, argmax y, argmax x, each (K, C, h, w).

    Argmax are positions in feature pixels. A bin without samples (an empty adaptive box) pools to
    0, as in average mode; mmcv's kernel writes -10000 there.
    """
    _, channels, height, width = feature.shape
    dtype = torch.promote_types(feature.dtype, torch.float32)
    table = feature.permute(0, 2, 3, 1).to(dtype).reshape(-1, channels).contiguous()
    first = rois[:, 0].int()[:, None, None, None] * (height * width)
    (at_y, exists_y), (at_x, exists_x) = (
        axis.positions(bins)
        for axis, bins in zip(grid.axes(rois, dtype), grid.output_size, strict=True)
    )
    shape = (len(rois), *grid.output_size, channels)
    best = table.new_full(shape, -torch.inf)
    argmax_y, argmax_x = table.new_full((2, *shape), NOWHERE)
    for i in range(at_y.shape[-1]):
        for j in range(at_x.shape[-1]):
            y = at_y[:, :, i, None].expand(shape[:3])
            x = at_x[:, None, :, j].expand(shape[:3])
            pixel, weight = _around(y, x, (height, width))
            value = embedding_bag(
                (first + pixel).view(-1, 4),
                table,
                mode='sum',
                per_sample_weights=weight.view(-1, 4),
            ).view(shape)
            exists = (exists_y[..., i] & exists_x[..., j])[:, :, None, None]
            better = exists & (value > best)
            best = torch.where(better, value, best)
            argmax_y = torch.where(better, y[..., None], argmax_y)
            argmax_x = torch.where(better, x[..., None], argmax_x)
    best = best.masked_fill_(best.isneginf(), 0)
    pooled, argmax_y, argmax_x = (
        map_.permute(0, 3, 1, 2).to(feature.dtype) for map_ in (best, argmax_y, argmax_x)
    )
    return pooled, argmax_y, argmax_x


@torch.no_grad()
def roi_align_max_backward(
    grad: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    shape: Sequence[int],
) -> Tensor:
    """grad and argmax (K, C, h, w) -> gradient of the feature map of `shape` (B, C, H, W)."""
    _, channels, height, width = shape
    dtype = torch.promote_types(grad.dtype, torch.float32)
    pixel, weight = _around(argmax_y.to(dtype), argmax_x.to(dtype), (height, width))
    weight = weight * (argmax_y != NOWHERE)[..., None]
    plane = rois[:, 0].long()[:, None] * channels + torch.arange(channels, device=grad.device)
    target = plane[:, :, None, None, None] * (height * width) + pixel
    total = torch.zeros(shape, dtype=dtype, device=grad.device)
    total.view(-1).index_add_(0, target.view(-1), (grad.to(dtype)[..., None] * weight).view(-1))
    return total.to(grad.dtype)


def _around(y: Tensor, x: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Positions (...) -> offsets of the four pixels around and bilinear weights, each (..., 4)."""
    y_low, y_high, down, on_map_y = corners(y, size[0])
    x_low, x_high, right, on_map_x = corners(x, size[1])
    rows = torch.stack((y_low, y_low, y_high, y_high), -1)
    columns = torch.stack((x_low, x_high, x_low, x_high), -1)
    weight = torch.stack(
        ((1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right), -1
    )
    return rows * size[1] + columns, weight * (on_map_y & on_map_x)[..., None]
