"""Charts: a dot and an interval per system, scores on the left, differences on the right."""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from downstream.report.comparison import Row, Table
from downstream.report.formats.wording import against, metric_name
from downstream.results.bootstrap import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 8.4  # inches
ROW_HEIGHT = 0.34
INK, QUIET, GRID = '#1f2328', '#6e7781', '#e4e7eb'
ABOVE, BELOW, UNCLEAR, BASELINE = '#1a6b3c', '#b3261e', '#6e7781', '#8c959f'
SCORE = '#1f5fa8'


def chart(table: Table, form: str = 'svg') -> bytes:
    """The headline metrics of one group as an encoded picture, form 'svg' or 'png'.

    The same table gives the same bytes. Drawn on its own canvas: no window, no global state.
    """
    metrics = table.group.headline_metrics
    compared = any(row.differences for row in table.rows)
    height = len(metrics) * (ROW_HEIGHT * len(table.rows) + 0.95)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)  # inches
    figure = Figure(figsize=(WIDTH, height), layout=layout)
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(metrics), 1 + compared, squeeze=False, sharey='row')
    for axes, metric in zip(panels, metrics):
        _draw_scores(axes[0], table.rows, metric)
        if compared:
            _draw_differences(axes[1], table, metric)
    stream = io.BytesIO()
    stable = {'Date': None} if form == 'svg' else {'Software': None}
    # element ids in an SVG are random by default, which would make each report differ
    with rc_context({'svg.hashsalt': 'mimbench', 'svg.fonttype': 'path'}):
        figure.savefig(stream, format=form, dpi=200, metadata=stable)
    return stream.getvalue()


def _draw_scores(axes: 'Axes', rows: Sequence[Row], metric: str) -> None:
    baselines = {row.baseline for row in rows}
    _draw(
        axes,
        [row.scores[metric].interval or row.scores[metric].value for row in rows],
        [BASELINE if row.system.label in baselines else SCORE for row in rows],
        lambda value: f'{value:.1f}',
    )
    axes.set_yticks(range(len(rows)), [row.system.label for row in rows])
    axes.set_title(f'{metric_name(metric)}, %', loc='left', fontsize=10, color=INK)


def _draw_differences(axes: 'Axes', table: Table, metric: str) -> None:
    found = [row.differences.get(metric) for row in table.rows]
    colours = [
        UNCLEAR if one is None or not one.clear_of_zero else (ABOVE if one.low > 0 else BELOW)
        for one in found
    ]
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    _draw(axes, found, colours, lambda value: f'{value:+.1f}'.replace('-', '−'))
    for place, row in enumerate(table.rows):
        if row.system.label in table.baselines:
            axes.annotate('baseline', (0, place), (4, 4), textcoords='offset points',
                          fontsize=8, color=BASELINE)  # fmt: skip
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.06 * (high - low)), max(high, 0.06 * (high - low)))
    axes.set_title(f'minus {against(table.baselines)}, points', loc='left', fontsize=10, color=INK)


def _draw(
    axes: 'Axes',
    values: Sequence[Interval | float | None],
    colours: Sequence[str],
    text: Callable[[float], str],
) -> None:
    for place, (value, colour) in enumerate(zip(values, colours)):
        if value is None:
            continue
        mean = value.mean if isinstance(value, Interval) else value
        if isinstance(value, Interval) and not np.isnan(value.low):
            outward = [[max(0, mean - value.low)], [max(0, value.high - mean)]]
            axes.errorbar(mean, place, xerr=outward, fmt='none', ecolor=colour, elinewidth=1.6,
                          capsize=4, capthick=1.6, zorder=2)  # fmt: skip
        axes.plot(mean, place, 'o', color=colour, markersize=6, zorder=3)
        axes.annotate(text(mean), (mean, place), (0, 6), textcoords='offset points',
                      ha='center', fontsize=8.5, color=colour)  # fmt: skip
    axes.set_ylim(len(values) - 0.4, -0.75)  # first row on top
    axes.margins(x=0.12)
    axes.grid(axis='x', color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.tick_params(axis='x', labelsize=8.5, labelcolor=QUIET)
    axes.spines[['top', 'left', 'right']].set_visible(False)
    axes.spines['bottom'].set_color(GRID)
