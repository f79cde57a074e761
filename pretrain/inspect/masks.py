"""What a masker does on average: how much it hides, how far from the visible, and where.

AvgDist (arXiv 2111.09886, section 4.1) is the one number under which SimMIM's masks of any unit and
ratio fall on one curve: fine-tuning accuracy is best between 10 and 20 pixels. It is read as the
Euclidean distance between pixels.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mim_backbones.errors import UserError

LARGEST = 10**9  # bytes of the masks that statistics are taken of


def avg_dist(masks: np.ndarray, patch_px: int) -> np.ndarray:
    """Mean distance of the hidden pixels to the nearest visible one, in pixels, for each mask.

    A hidden pixel beside a visible one has distance 1. A work's AvgDist is the mean of these
    over many masks.

    Args:
        masks: (..., H/p, W/p) bool, True = hidden.
        patch_px: side of a patch in pixels.

    Returns:
        (...) float64.

    Raises:
        ValueError: a mask that hides nothing, or everything.
    """
    from scipy.ndimage import distance_transform_edt  # no training needs it

    *batch, rows, columns = masks.shape
    flat = masks.reshape(-1, rows, columns).astype(bool)
    if not flat.any((1, 2)).all() or flat.all((1, 2)).any():
        raise ValueError('AvgDist needs masks with both hidden and visible patches')
    distances = np.empty(len(flat))
    for index, mask in enumerate(flat):
        hidden = mask.repeat(patch_px, axis=0).repeat(patch_px, axis=1)
        distances[index] = distance_transform_edt(hidden)[hidden].mean()
    return distances.reshape(batch)


@dataclass(frozen=True)
class MaskStatistics:
    """Of `samples` masks of one masker.

    Args:
        grid: (rows, columns) of patches.
        patch_px: side of a patch in pixels.
        samples: masks drawn.
        hidden_mean, hidden_min, hidden_max: hidden patches of a mask.
        ratio: mean share of hidden patches.
        avg_dist_px, avg_dist_deviation_px: mean and standard deviation of the masks' mean
            distances; None if no mask has both hidden and visible patches.
        avg_dist_samples: masks that these two were computed from.
        frequency: share of the masks that hide each patch, rows of columns.
    """

    grid: tuple[int, int]
    patch_px: int
    samples: int
    hidden_mean: float
    hidden_min: int
    hidden_max: int
    ratio: float
    avg_dist_px: float | None
    avg_dist_deviation_px: float | None
    avg_dist_samples: int
    frequency: list[list[float]]


def mask_statistics(
    masker: Any, patch_px: int, samples: int, avg_dist_samples: int, rng: np.random.Generator
) -> MaskStatistics:
    """Draw masks and count.

    Args:
        masker: anything with `grid` and `batch(n, rng)`.
        avg_dist_samples: the first so many masks also give AvgDist, the slow part.

    Raises:
        UserError: masks that would not fit the memory.
    """
    cells = math.prod(masker.grid)
    if samples * cells > LARGEST:
        raise UserError(
            f'{samples} masks of {cells} patches take {samples * cells / 1e9:.1f} GB; '
            f'take at most {LARGEST // cells} samples'
        )
    masks = masker.batch(samples, rng)
    hidden = masks.sum((1, 2))
    some = masks[:avg_dist_samples]
    some = some[some.any((1, 2)) & ~some.all((1, 2))]
    distances = avg_dist(some, patch_px)
    return MaskStatistics(
        grid=masks.shape[1:],
        patch_px=patch_px,
        samples=samples,
        hidden_mean=float(hidden.mean()),
        hidden_min=int(hidden.min()),
        hidden_max=int(hidden.max()),
        ratio=float(masks.mean()),
        avg_dist_px=float(distances.mean()) if len(distances) else None,
        avg_dist_deviation_px=float(distances.std()) if len(distances) else None,
        avg_dist_samples=len(distances),
        frequency=masks.mean(0).round(6).tolist(),
    )


def block_means(values: np.ndarray, step: int) -> np.ndarray:
    """(rows, columns) averaged over blocks of step x step; the last ones may be smaller."""
    rows, columns = (np.arange(0, side, step) for side in values.shape)
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    heights = np.diff([*rows, values.shape[0]])
    widths = np.diff([*columns, values.shape[1]])
    return sums / heights[:, None] / widths


def statistics_text(statistics: MaskStatistics, unit: int = 1, widest: int = 16) -> str:
    """The statistics in lines, with a table of frequencies in percent.

    Args:
        unit: patches that are always hidden together, along a side; the table shows units.
        widest: a grid with more rows or columns is shown in means of larger blocks.
    """
    rows, columns = statistics.grid
    step = unit * -(-max(rows, columns) // (unit * widest))
    span = f'{statistics.hidden_min}'
    if statistics.hidden_min != statistics.hidden_max:
        low, high = statistics.hidden_min, statistics.hidden_max
        span = f'{statistics.hidden_mean:.2f} (from {low} to {high})'
    distance = 'undefined, as every mask hides nothing or everything'
    if statistics.avg_dist_px is not None:
        distance = (
            f'{statistics.avg_dist_px:.2f} px, standard deviation '
            f'{statistics.avg_dist_deviation_px:.2f} over {statistics.avg_dist_samples} masks'
        )
    frequency = np.array(statistics.frequency)
    lines = [
        f'grid       {rows} x {columns} patches of {statistics.patch_px} px',
        f'ratio      {statistics.ratio:.4f}: {span} of {rows * columns} patches hidden',
        f'AvgDist    {distance}',
        f'frequency  {frequency.min():.3f} to {frequency.max():.3f} over {statistics.samples} '
        f'masks; in percent{f", means of {step} x {step} patches" if step > 1 else ""}:',
    ]
    table = (100 * block_means(frequency, step)).round().astype(int)
    return '\n'.join([*lines, *(' '.join(f'{cell:3d}' for cell in row) for row in table)])
