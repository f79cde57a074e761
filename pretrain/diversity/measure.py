"""Measure a target on images: its diversity and what goes with it, its size, what it costs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mim_backbones.bench.flops import count_flops
from mim_backbones.errors import UserError
from mim_backbones.probes.diversity import similarity_by_distance, token_figures
from pretrain.diversity.candidates import Candidate
from pretrain.images.decode import load_image, load_readable, unreadable
from pretrain.images.preprocessor import to_unit
from pretrain.targets.base import Target
from pretrain.targets.frozen import Frozen

BATCH = 16
THUMB = 16  # pixels: enough to know whether a file can be decoded


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over images; one image has none."""

    mean: float
    deviation: float | None

    def __str__(self) -> str:
        return f'{self.mean:.3f}' + ('' if self.deviation is None else f' ± {self.deviation:.3f}')


@dataclass(frozen=True)
class Measured:
    """A target on the tensor that its loss would see.

    Attributes:
        parameters: of its frozen net, with a classifier where it has one; 0 without a net.
        macs: multiply-adds for one image, of products and convolutions.
        grid, width: positions, and channels of each.
        images: n.
        figures: those of `token_figures`, over images.
        similarity: mean cosine of tokens 1, 2, ... cells apart, over images.
        milliseconds: of an image, in the quickest batch.
    """

    name: str
    source: str
    parameters: int
    macs: int
    grid: tuple[int, int]
    width: int
    images: int
    figures: dict[str, Spread]
    similarity: tuple[float, ...]
    milliseconds: float

    @property
    def diversity(self) -> Spread:
        return self.figures['token_diversity']


def readable(files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Files that every target will see, in their order, and those that cannot be decoded.

    Raises:
        UserError: none can.
    """
    chosen = list(files)
    read = [path for one in chosen for path in load_readable([one], THUMB)]
    return read, unreadable(chosen, read)


@torch.no_grad()
def measure(candidate: Candidate, files: Sequence[str]) -> Measured:
    """files: all readable, the same for all that are compared; their centres are looked at.

    Raises:
        UserError: features that are not finite.
    """
    target = candidate.target
    found: dict[str, list[Tensor]] = {}
    curves, seconds = [], []
    for start in range(0, len(files), BATCH):
        pixels = [load_image(path, *candidate.view) for path in files[start : start + BATCH]]
        image = to_unit(torch.stack(pixels))
        if not start:  # counted first: the first call of a net is no fair one
            macs = count_flops(partial(target, image[:1])).flops // 2
        begin = time.perf_counter()
        maps = target(image).values
        seconds.append((time.perf_counter() - begin) / len(image))
        if not maps.isfinite().all():
            raise UserError(f'{candidate.source} gives values that are not finite')
        for name, values in token_figures(maps).items():
            found.setdefault(name, []).append(values)
        curves.append(similarity_by_distance(maps))
    return Measured(
        candidate.name,
        candidate.source,
        parameters_of(target),
        macs,
        (maps.shape[2], maps.shape[3]),
        maps.shape[1],
        len(files),
        {name: spread(torch.cat(values)) for name, values in found.items()},
        tuple(torch.cat(curves).mean(0).tolist()),
        1e3 * min(seconds),
    )


def spread(values: Tensor) -> Spread:
    """values: (n,)."""
    return Spread(float(values.mean()), float(values.std()) if len(values) > 1 else None)


def parameters_of(target: Target) -> int:
    frozen = getattr(target, 'frozen', None)
    return sum(p.numel() for p in frozen.net.parameters()) if isinstance(frozen, Frozen) else 0
