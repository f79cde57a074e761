"""Where RoIAlign samples: boxes -> bins -> sample positions -> neighbouring pixels and weights.

The two axes never mix: everything here is one axis at a time, and RoIAlign multiplies them.
Source of the conventions: mmcv 2.x `roi_align` (after Detectron2's), both `aligned` modes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """One axis of K boxes, in feature pixels: first edge, bin length, samples per bin."""

    start: Tensor  # (K,) float
    bin: Tensor  # (K,) float
    samples: Tensor  # (K,) int64; 0 only where an adaptive box is empty

    def __getitem__(self, chosen: Tensor) -> 'Axis':
        return Axis(self.start[chosen], self.bin[chosen], self.samples[chosen])

    def positions(self, bins: int) -> tuple[Tensor, Tensor]:
        """Sample positions (K, bins, S), S the most samples of any box, and which exist (K, 1, S).

        Added in mmcv's order, so that a position on a pixel border rounds to the same side.
        """
        sample = torch.arange(max(self._most(), 1), device=self.start.device)
        bin_ = self.bin[:, None, None]
        edge = self.start[:, None, None] + torch.arange(bins, device=bin_.device)[:, None] * bin_
        count = self.samples.clamp(min=1)[:, None, None]
        return edge + (sample + 0.5) * bin_ / count, sample < self.samples[:, None, None]

    def _most(self) -> int:
        return int(self.samples.max()) if len(self.samples) else 0


@dataclass(frozen=True)
class RoIGrid:
    """RoIAlign's settings.

    output_size: bins as (height, width). spatial_scale: feature pixels per image pixel.
    sampling_ratio: samples per bin and axis; 0 or less takes ceil(bin length) of each box.
    aligned: pixel centres at half-integers; False is the legacy half-pixel shift, where boxes are
    also at least one pixel wide.
    """

    output_size: tuple[int, int]
    spatial_scale: float = 1.0
    sampling_ratio: int = 0
    aligned: bool = True

    def axes(self, rois: Tensor, dtype: torch.dtype) -> tuple[Axis, Axis]:
        """rois (K, 5) as (image, x1, y1, x2, y2) in image pixels -> the y and the x axis."""
        boxes = rois[:, 1:].to(dtype) * self.spatial_scale - (0.5 if self.aligned else 0.0)
        x1, y1, x2, y2 = boxes.unbind(1)
        return (
            self._axis(y1, y2, self.output_size[0]),
            self._axis(x1, x2, self.output_size[1]),
        )

    def _axis(self, start: Tensor, end: Tensor, bins: int) -> Axis:
        length = end - start
        if not self.aligned:
            length = length.clamp(min=1)
        if self.sampling_ratio > 0:
            samples = torch.full_like(length, self.sampling_ratio, dtype=torch.long)
        else:
            # A box that is not finite (a diverged regressor) has no samples and pools to zero.
            samples = (length / bins).ceil().nan_to_num(0, 0, 0).clamp(min=0).long()
        return Axis(start, length / bins, samples)


def corners(at: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Positions -> the pixels below and above, the upper one's weight, and which are on the map.

    On the map means within one pixel of it (-1 to size, as mmcv has it); positions between the
    border and the outermost pixel centre take that pixel. Indices are int32: they feed gathers.
    """
    on_map = (at >= -1) & (at <= size)
    at = at.nan_to_num(0).clamp(0, size - 1)
    low = at.int()
    high = (low + 1).clamp(max=size - 1)
    return low, high, at - low, on_map
