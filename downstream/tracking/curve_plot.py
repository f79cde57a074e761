"""Success and precision plots: the mean over sequences, each sequence's own curve faint behind."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from numpy.typing import NDArray

from downstream.tracking.scoring.curves import (
    NORM_PRECISION_THRESHOLDS,
    PRECISION_THRESHOLDS,
    SUCCESS_THRESHOLDS,
)
from downstream.tracking.units import PRECISION_AT, TrackingUnits
from mim_backbones.console.charts import LIGHT, STYLE, blank, encoded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 3.1  # inches


def draw_curves(units: TrackingUnits, protocol: str) -> bytes:
    """A PNG of the three curves with AUC, P and P_norm."""
    scores = units.observed()
    with rc_context(STYLE):
        figure = blank(HEIGHT)
        success, precision, norm_precision = figure.subplots(1, 3, sharey=True)
        _draw(success, units.success, SUCCESS_THRESHOLDS, None)
        _draw(precision, units.precision, PRECISION_THRESHOLDS, PRECISION_AT)
        _draw(norm_precision, units.norm_precision, NORM_PRECISION_THRESHOLDS, PRECISION_AT)
        _name(success, f'success, AUC {scores["AUC"]:.1f}', 'overlap above')
        _name(precision, f'precision, P {scores["P"]:.1f}', 'centre error up to, px')
        title = f'norm. precision, P norm {scores["P_norm"]:.1f}'
        _name(norm_precision, title, 'error / size up to')
        success.set_ylabel(f'frames, %  ({protocol})', fontsize=8.5, color=LIGHT['quiet'])
        return encoded(figure, 'png')


def _draw(axes: 'Axes', rows: NDArray, thresholds: NDArray, at: int | None) -> None:
    """rows (U, N) shares; at: index of the threshold that is the score."""
    rows = 100 * rows
    faint = np.clip(6 / len(rows), 0.04, 0.35)
    axes.plot(thresholds, rows.T, color=LIGHT['baseline'], linewidth=0.8, alpha=faint)
    mean = np.nanmean(rows, axis=0)
    axes.plot(thresholds, mean, color=LIGHT['score'], linewidth=2.2)
    if at is not None:
        axes.axvline(thresholds[at], color=LIGHT['quiet'], linewidth=0.8, linestyle=':')
        axes.plot(thresholds[at], mean[at], 'o', color=LIGHT['score'], markersize=6)
    axes.set_xlim(thresholds[0], thresholds[-1])
    axes.set_ylim(0, 101)
    axes.grid(color=LIGHT['grid'], linewidth=0.8)
    axes.set_axisbelow(True)


def _name(axes: 'Axes', title: str, below: str) -> None:
    axes.set_title(title, loc='left', fontsize=9.5, color=LIGHT['ink'])
    axes.set_xlabel(below, fontsize=8.5, color=LIGHT['quiet'])
    axes.tick_params(length=0, labelsize=8.5, labelcolor=LIGHT['quiet'])
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color(LIGHT['grid'])
