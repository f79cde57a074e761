"""RoIAlign with average pooling, as one sparse matrix.

    output[bin] = sum over pixels p of A[bin, p] feature[p]
    grad_feature[p] = sum over bins of A[bin, p] grad_output[bin]
    A[bin, y W + x] = Ay[bin, y] Ax[bin, x]

A row of A has a handful of entries (16 at sampling ratio 2), so both products are a weighted sum of
rows of a channels-last table, which `embedding_bag` does in one pass without storing the gathered
rows. The backward product is the same call on the entries sorted by pixel: no atomic adds, so it is
deterministic. Entries are made for a bounded number of boxes at a time.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from mim_backbones.standins.roi_grid import Axis, RoIGrid, corners

MAX_ENTRIES = 2**21  # of A at a time: about 50 MB with everything made on the way


@torch.no_grad()
def roi_align(feature: Tensor, rois: Tensor, grid: RoIGrid) -> Tensor:
    """feature (B, C, H, W), rois (K, 5) as (image, x1, y1, x2, y2) -> (K, C, h, w) in its dtype.

    Half precisions are summed in float32, and so are coordinates; float64 stays float64.
    """
    _, channels, height, width = feature.shape
    bins = grid.output_size[0] * grid.output_size[1]
    table = _rows(feature)
    output = table.new_empty(len(rois), bins, channels)
    for chosen, pixel, weight in _entries(rois, grid, (height, width), table.dtype):
        rows = embedding_bag(pixel, table, mode='sum', per_sample_weights=weight)
        output[chosen] = rows.view(-1, bins, channels)
    return _maps(output, grid.output_size, feature.dtype)


@torch.no_grad()
def roi_align_backward(grad: Tensor, rois: Tensor, shape: Sequence[int], grid: RoIGrid) -> Tensor:
    """grad (K, C, h, w) of the output -> gradient of the feature map of `shape` (B, C, H, W)."""
    batch, channels, height, width = shape
    bins = grid.output_size[0] * grid.output_size[1]
    table = _rows(grad)
    total = table.new_zeros(batch * height * width, channels)
    every_pixel = torch.arange(len(total), dtype=torch.int32, device=grad.device)
    for chosen, pixel, weight in _entries(rois, grid, (height, width), table.dtype):
        row = (chosen[:, None] * bins + torch.arange(bins, device=grad.device)).view(-1)
        pixel, entry = pixel.view(-1).sort(stable=True)
        total += embedding_bag(
            row[entry // weight.shape[1]].int(),
            table,
            torch.searchsorted(pixel, every_pixel, out_int32=True),
            mode='sum',
            per_sample_weights=weight.view(-1)[entry],
        )
    return _maps(total.view(batch, -1, channels), (height, width), grad.dtype)


def _rows(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (B H W, C), at least float32; free of copies when channels-last float."""
    dtype = torch.promote_types(maps.dtype, torch.float32)
    return maps.permute(0, 2, 3, 1).to(dtype).reshape(-1, maps.shape[1]).contiguous()


def _maps(rows: Tensor, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """(B, H W, C) -> contiguous (B, C, H, W)."""
    maps = rows.to(dtype).transpose(1, 2).contiguous()
    return maps.view(len(rows), rows.shape[2], *size)


def _entries(
    rois: Tensor, grid: RoIGrid, size: tuple[int, int], dtype: torch.dtype
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yields which boxes (k,) and their rows of A: pixel (k h w, L) int32, weight (k h w, L)."""
    image = rois[:, 0].int()
    along_y, along_x = grid.axes(rois, dtype)
    for chosen in _chunks(_slots(along_y) * _slots(along_x), grid):
        y, wy = _axis_weights(along_y[chosen], grid.output_size[0], size[0])
        x, wx = _axis_weights(along_x[chosen], grid.output_size[1], size[1])
        first = image[chosen] * (size[0] * size[1])
        pixel = first[:, None, None, None, None] + y[:, :, None, :, None] * size[1]
        pixel = pixel + x[:, None, :, None, :]  # (k, h, w, Ly, Lx)
        weight = wy[:, :, None, :, None] * wx[:, None, :, None, :]
        entries = wy.shape[2] * wx.shape[2]
        yield chosen, pixel.view(-1, entries), weight.view(-1, entries)


def _axis_weights(axis: Axis, bins: int, size: int) -> tuple[Tensor, Tensor]:
    """Pixels (k, bins, L) int32 on one axis and their weights; a bin's weights sum to at most 1.

    L is two per sample, or, where samples lie closer than pixels, the pixels that a bin spans.
    """
    at, exists = axis.positions(bins)
    low, high, upper, on_map = corners(at, size)
    share = (on_map & exists).to(at.dtype) / axis.samples.clamp(min=1)[:, None, None]
    pixel = torch.cat((low, high), -1)
    weight = torch.cat(((1 - upper) * share, upper * share), -1)
    first = pixel.amin(-1, keepdim=True)
    offset = pixel - first
    span = int(offset.max()) + 1 if len(offset) else 1
    if span >= pixel.shape[-1]:
        return pixel, weight
    merged = weight.new_zeros(*weight.shape[:2], span).scatter_add_(-1, offset.long(), weight)
    window = torch.arange(span, dtype=torch.int32, device=pixel.device)
    return (first + window).clamp(max=size - 1), merged


def _slots(axis: Axis) -> Tensor:
    """An upper bound of L for each box, to plan memory with."""
    return torch.minimum(2 * axis.samples, axis.bin.nan_to_num(0, 0, 0).abs().long() + 3)


def _chunks(slots: Tensor, grid: RoIGrid) -> Iterator[Tensor]:
    """Box indices in groups of at most MAX_ENTRIES entries (or one box), alike in size."""
    bins = grid.output_size[0] * grid.output_size[1]
    if not len(slots):
        return
    if len(slots) * bins * int(slots.max()) <= MAX_ENTRIES:
        yield torch.arange(len(slots), device=slots.device)
        return
    ordered, order = slots.sort()
    begin = 0
    for end, entries in enumerate((ordered * bins).tolist()):
        if end > begin and (end + 1 - begin) * entries > MAX_ENTRIES:
            yield order[begin:end]
            begin = end
    yield order[begin:]
