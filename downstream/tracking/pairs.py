"""Training pairs: the target at one time (template) and where to find it a little later (search).

Pair `index` of seed `seed` is always the same pair, whatever the worker and the order. The
distributions are OSTrack's (botaoye/OSTrack 33b5e12, lib/train/data), the random numbers ours.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from downstream.registry import DATASETS
from downstream.tracking.crop import cut, padding_mask, window_around
from downstream.tracking.sequences import FrameReader
from downstream.tracking.sets.source import check_apart, open_source
from mim_backbones.errors import UserError

# A token of the published model: a crop without one free token shows nothing.
STRIDE = 16
MAX_TRIES = 50


def sample_frames(usable: np.ndarray, max_gap: int, rng: np.random.Generator) -> tuple[int, int]:
    """Template and search frame, out of the sorted frame numbers `usable` (at least two).

    The search frame comes after the template's, less than `max_gap` later; where there is none
    the limit grows by 5 until there is.
    """
    chosen = int(rng.integers(len(usable) - 1))
    template, later = int(usable[chosen]), usable[chosen + 1 :]
    while later[0] >= template + max_gap:
        max_gap += 5
    near = int(np.searchsorted(later, template + max_gap))
    return template, int(later[rng.integers(near)])


@dataclass(frozen=True)
class BoxJitter:
    """Moves the box a crop is cut around, so that the target is not always in its middle.

    scale: size times exp(scale * N(0, 1)), each side alone.
    shift: centre moved by shift * (U - 0.5) mean sides, each axis alone.
    """

    scale: float
    shift: float

    def __call__(self, box: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """xywh -> xywh, (4,) float64."""
        size = box[2:] * np.exp(self.scale * rng.standard_normal(2))
        move = np.sqrt(size.prod()) * self.shift * (rng.random(2) - 0.5)
        return np.concatenate([box[:2] + box[2:] / 2 + move - size / 2, size])


@dataclass(frozen=True)
class PairDraw:
    """What is changed alike in both crops of a pair."""

    gray: bool
    flip: bool
    channels: tuple[int, ...]
    negative: bool
    transpose: bool


@dataclass(frozen=True)
class Augment:
    """Probabilities and strengths of what changes the pixels of a pair.

    gray, flip: for both crops together; branch_flip: for each crop alone, on top of `flip`;
    brightness: each crop alone, times 1 +- this.
    vary: for both together, each alone: colour channels in another order, a negative, rows for
        columns. Not published: a few videos have few targets, and these make more of them.
    """

    gray: float = 0.05
    flip: float = 0.5
    branch_flip: float = 0.5
    brightness: float = 0.2
    vary: float = 0.0

    def draw_both(self, rng: np.random.Generator) -> PairDraw:
        """What happens to both crops of a pair."""
        gray, flip, channels, negative, transpose = rng.random(5) < (
            self.gray, self.flip, self.vary, self.vary, self.vary
        )  # fmt: skip
        order = rng.permutation(3) if channels else range(3)
        return PairDraw(bool(gray), bool(flip), tuple(order), bool(negative), bool(transpose))

    def apply(
        self, crop: np.ndarray, box: np.ndarray, both: PairDraw, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S, S, 3) uint8 RGB and its box (4,) xywh as fractions -> the same, changed."""
        crop = np.ascontiguousarray(crop[..., both.channels])
        if both.gray:
            crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        if both.negative:
            crop = 255 - crop
        crop = cv2.convertScaleAbs(crop, alpha=1 + self.brightness * (2 * rng.random() - 1))
        if both.transpose:
            crop, box = cv2.transpose(crop), box[[1, 0, 3, 2]]
        # Flipping the crop equals flipping the image before, but for the window's rounding.
        if both.flip != (rng.random() < self.branch_flip):
            crop = cv2.flip(crop, 1)
            box = np.array([1 - box[0] - box[2], *box[1:]])
        return crop, box


@DATASETS.register_module()
class TrackingPairs(Dataset):
    """Item: inputs = {template (3, T, T), search (3, S, S)} uint8 RGB; boxes (4,) float32, the
    target in the search crop, xywh as fractions of it; template_boxes, in the template crop.

    A set is drawn by its ratio, then one of its sequences, all alike, then two of its frames; a
    still picture is both frames.

    Args:
        sets: of each: its `name` in SETS, its `ratio`, 1 unless said, and arguments of its reader.
        length: how many different pairs there are.
        seed: of all of them.
        template_size, search_size: side of the crops in pixels.
        template_factor, search_factor: side of the crops in mean sides of the box.
        max_gap: the search frame is less than this many frames after the template's.
        jitter: arguments of BoxJitter for the search crop; the template has none.
        augment: arguments of Augment.
        min_frames, min_visible: sequences with less are left out.
        cache_mib: decoded frames kept in memory, per loader process.
        published: repeat the published crop's slips (crop.py).

    Raises:
        UserError: a set has a test sequence, a file missing or broken, or no sequence long enough.
    """

    metainfo = {'layout': 'lasot'}

    def __init__(
        self,
        sets: list[dict],
        length: int = 60_000,
        seed: int = 0,
        template_size: int = 128,
        search_size: int = 256,
        template_factor: float = 2.0,
        search_factor: float = 4.0,
        max_gap: int = 200,
        jitter: dict | None = None,
        augment: dict | None = None,
        min_frames: int = 20,
        min_visible: int = 5,
        cache_mib: int = 256,
        published: bool = False,
    ) -> None:
        self.sources = [open_source(one, min_frames, min_visible) for one in sets]
        check_apart(self.sources)
        ratios = np.array([source.ratio for source in self.sources], dtype=np.float64)
        self.bounds = np.cumsum(ratios / ratios.sum())[:-1]
        self.length = length
        self.seed = seed
        self.max_gap = max_gap
        self.published = published
        search_jitter = BoxJitter(**(jitter or {'scale': 0.25, 'shift': 3.0}))
        self.branches = (
            (template_size, template_factor, BoxJitter(0, 0)),
            (search_size, search_factor, search_jitter),
        )
        self.augment = Augment(**(augment or {}))
        self.reader = FrameReader(cache_mib)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        rng = np.random.default_rng([self.seed, index])
        for _ in range(MAX_TRIES):
            crops = self._draw(rng)
            if crops is not None:
                (template, template_box), (search, box) = crops
                return {
                    'inputs': {'template': _to_tensor(template), 'search': _to_tensor(search)},
                    'boxes': torch.from_numpy(box.astype(np.float32)),
                    'template_boxes': torch.from_numpy(template_box.astype(np.float32)),
                }
        roots = ', '.join(str(source.index.root) for source in self.sources)
        raise UserError(
            f'{roots}: {MAX_TRIES} pairs in a row were unusable (frames that cannot be read, '
            'boxes outside the image); check the sequences'
        )

    def _draw(self, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Template and search crop, each with its box; None when one of them cannot be had."""
        # One set takes no number.
        chosen = np.searchsorted(self.bounds, rng.random(), 'right') if len(self.bounds) else 0
        source = self.sources[chosen]
        sequence, usable = source.draw(rng)
        frames = (0, 0) if source.still else sample_frames(usable, self.max_gap, rng)
        both = self.augment.draw_both(rng)
        crops = []
        for frame, (size, factor, jitter) in zip(frames, self.branches):
            image = self.reader.read(sequence, frame)
            if image is None:
                return None
            window = window_around(jitter(sequence.boxes[frame], rng), factor)
            shape = image.shape[:2]
            if not window.inside(shape):
                padding = padding_mask(window, shape, size, self.published)
                if padding[::STRIDE, ::STRIDE].all():
                    return None
            crop = cut(image, window, size, self.published)
            box = window.to_crop(sequence.boxes[frame], size, self.published)
            crops.append(self.augment.apply(crop, box, both, rng))
        return crops


def _to_tensor(crop: np.ndarray) -> Tensor:
    """(S, S, 3) -> (3, S, S)."""
    return torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))
