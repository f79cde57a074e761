"""GOT-10k's measures (arXiv 1810.11981, section 4.1; the toolkit's experiments/got10k.py).

    AO      mean IoU over all frames of all sequences, pooled
    SR_t    share of those frames with IoU > t, t = 0.50 and 0.75

without the first frame of a sequence and those in which the target is covered whole; boxes are
clipped to the image. Repetitions are pooled as more frames.

    <root>/<SEQ>/{groundtruth.txt, cover.label, meta_info.ini}, <root>/list.txt

The test split has its first boxes alone: it is scored by the data set's server.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.fingerprint import listing_digest
from downstream.task import DataCard
from downstream.tracking.data import TrackingData, read_boxes, read_names, read_text
from mim_backbones.errors import UserError

RESOLUTION = re.compile(r'^resolution:\s*\(?(\d+),\s*(\d+)\)?\s*$', re.MULTILINE)
COVERED = {str(eighths) for eighths in range(9)}


@dataclass(frozen=True)
class Got10kTruth:
    """boxes (T, 4) xywh; cover (T,) visible eighths, 0 to 8; size: width, height in pixels."""

    name: str
    boxes: NDArray
    cover: NDArray
    size: tuple[int, int]


def read_truths(root: Path, list_file: str) -> list[Got10kTruth]:
    """The sequences of a list. Raises UserError naming the file that is missing or wrong."""
    return [_read_truth(root / name) for name in read_names(root, list_file)]


def describe(data: TrackingData) -> DataCard:
    """Raises UserError when a sequence is broken."""
    truths = read_truths(data.root, data.test_list)
    return DataCard(
        name=data.root.name,
        root=str(data.root),
        fingerprint=listing_digest(
            [data.root / truth.name for truth in truths], [data.root / data.test_list]
        ),
        train=0,
        val=len(truths),
    )


def _read_truth(folder: Path) -> Got10kTruth:
    boxes = read_boxes(folder / 'groundtruth.txt')
    cover = read_text(folder / 'cover.label').split()
    if len(cover) != len(boxes) or not set(cover) <= COVERED:
        raise UserError(
            f'{folder / "cover.label"}: expected {len(boxes)} values from 0 to 8, one per box of '
            f'groundtruth.txt; found {len(cover)} (the test split cannot be scored here)'
        )
    size = RESOLUTION.search(read_text(folder / 'meta_info.ini'))
    if size is None:
        raise UserError(f'{folder / "meta_info.ini"}: no line `resolution: (width, height)`')
    return Got10kTruth(folder.name, boxes, np.array(cover, int), (int(size[1]), int(size[2])))


def frame_overlaps(predicted: NDArray, truth: Got10kTruth) -> NDArray:
    """IoU (F,) of the frames that count; predicted (T, 4) xywh.

    Raises UserError for boxes that are not finite, or are not as many as the truth's.
    """
    if len(predicted) != len(truth.boxes):
        raise UserError(
            f'{truth.name}: {len(predicted)} predicted boxes for {len(truth.boxes)} frames; track '
            'the whole sequence'
        )
    if not np.isfinite(predicted).all():
        raise UserError(f'{truth.name}: a predicted box is not finite; the tracker diverged')
    counts = truth.cover[1:] > 0
    found, wanted = (_clipped(box[1:][counts], truth.size) for box in (predicted, truth.boxes))
    upper = np.maximum(found[:, :2], wanted[:, :2])
    lower = np.minimum(found[:, :2] + found[:, 2:], wanted[:, :2] + wanted[:, 2:])
    shared = np.maximum(lower - upper, 0).prod(axis=1)
    union = found[:, 2:].prod(axis=1) + wanted[:, 2:].prod(axis=1) - shared
    return (shared / (union + np.finfo(float).eps)).clip(0, 1)


def pooled_scores(overlaps: Sequence[NDArray]) -> dict[str, float]:
    """AO, SR_50 and SR_75 in percent, of every sequence's frames. UserError when there are none."""
    pooled = np.concatenate(overlaps)
    if not len(pooled):
        raise UserError('no frame to score: every target is covered in every frame but the first')
    return {
        'AO': 100 * float(pooled.mean()),
        'SR_50': 100 * float((pooled > 0.5).mean()),
        'SR_75': 100 * float((pooled > 0.75).mean()),
    }


def frames_per_second(times: Sequence[NDArray]) -> float:
    """Mean of 1 / time over every frame of positive time (seconds), nan without one."""
    pooled = np.concatenate([*times, np.empty(0)])
    pooled = pooled[pooled > 0]
    return float((1 / pooled).mean()) if len(pooled) else float('nan')


def _clipped(boxes: NDArray, size: tuple[int, int]) -> NDArray:
    corner = boxes[:, :2].clip(0, size)
    return np.hstack([corner, boxes[:, 2:].clip(0, size - corner)])
