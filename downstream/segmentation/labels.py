"""Logits -> label maps at the pictures' resolution, a few channels at a time.

All channels of a picture in float are hundreds of MB; nothing needs them at once. A source of
planes makes any of them on request, by the same operations that would have made all, so that labels
are those of `resize(logits, size).argmax(1)` to the bit, on any device:

    largest(resized(logits, size))                     one view
    largest(mean_probability([view, view, ...]))       several, as mmseg's SegTTAModel merges them

At a time there are `TILE` bytes of planes of each picture (at least one plane), the largest value
so far and the labels, whatever the number of classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 2**21  # bytes of planes made at once: they stay in a core's cache
# PyTorch's kernels round otherwise for three channels, and on planes up to this height + width by
# where a channel stands among all.
ROUNDED_TOGETHER, SMALL = 3, 128


@dataclass(frozen=True)
class Planes:
    """Logits or probabilities that are made when they are asked for.

    Attributes:
        make: first channel, one behind the last -> (N, K, H, W) float.
        channels: how many there are.
        shape: N, H, W.
    """

    make: Callable[[int, int], Tensor]
    channels: int
    shape: tuple[int, int, int]

    def runs(self) -> list[tuple[int, int]]:
        """Runs of channels, first and one behind the last, of `TILE` bytes each."""
        _, height, width = self.shape
        length = max(1, TILE // (4 * height * width))
        edges = [*range(0, self.channels, length), self.channels]
        three = [i for i, j in pairwise(edges) if j - i == ROUNDED_TOGETHER < self.channels]
        return list(pairwise(sorted([*edges, *(i + 1 for i in three)])))


def resized(logits: Tensor, size: tuple[int, int], align_corners: bool = False) -> Planes:
    """logits (N, C, h, w) -> its bilinear planes of `size` (H, W)."""

    def make(first: int, behind: int) -> Tensor:
        return logits[:, first:behind]

    count, channels, height, width = logits.shape
    return resized_planes(Planes(make, channels, (count, height, width)), size, align_corners)


def resized_planes(source: Planes, size: tuple[int, int], align_corners: bool = False) -> Planes:
    """Planes (N, K, h, w) -> bilinear planes of `size` (H, W)."""
    whole = None
    if sum(size) <= SMALL:
        whole = resize(source.make(0, source.channels), size, align_corners)

    def make(first: int, behind: int) -> Tensor:
        if whole is not None:
            return whole[:, first:behind]
        return resize(source.make(first, behind), size, align_corners)

    return Planes(make, source.channels, (source.shape[0], *size))


def resize(planes: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """(N, K, h, w) -> (N, K, H, W), bilinear."""
    return F.interpolate(planes, size, mode='bilinear', align_corners=align_corners)


def resized_argmax(logits: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """logits (N, C, h, w), without NaN -> labels (N, H, W) int64; of equals the first."""
    return largest(resized(logits, size, align_corners))


@torch.no_grad()
def largest(planes: Planes) -> Tensor:
    """Channel of the largest value at each pixel, (N, H, W) int64; of equals the first.

    Values must not be NaN.
    """
    best, labels = None, None
    for first, behind in planes.runs():
        for channel, plane in enumerate(planes.make(first, behind).unbind(1), first):
            if best is None or labels is None:
                kind = torch.uint8 if planes.channels <= 256 else torch.int32
                best, labels = plane.clone(), torch.zeros_like(plane, dtype=kind)
                continue
            labels.masked_fill_(plane > best, channel)
            torch.maximum(best, plane, out=best)
    assert labels is not None, 'no channels'
    return labels.long()


def mean_probability(views: Sequence[Planes]) -> Planes:
    """Logits of one shape -> the mean of their softmax over channels."""
    normalisers = [_log_sum_exp(view) for view in views]

    def make(first: int, behind: int) -> Tensor:
        total: Tensor | float = 0.0
        for view, normaliser in zip(views, normalisers):
            total = total + (view.make(first, behind) - normaliser[:, None]).exp()
        return total / len(views)

    return Planes(make, views[0].channels, views[0].shape)


@torch.no_grad()
def _log_sum_exp(planes: Planes) -> Tensor:
    """Logarithm of the summed exponentials of all channels, (N, H, W)."""
    high = total = None
    for first, behind in planes.runs():
        for plane in planes.make(first, behind).unbind(1):
            if high is None or total is None:
                high, total = plane.clone(), torch.ones_like(plane)
                continue
            higher = torch.maximum(high, plane)
            total = total * (high - higher).exp_() + (plane - higher).exp_()
            high = higher
    assert high is not None and total is not None, 'no channels'
    return high + total.log()
