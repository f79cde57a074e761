"""Charts: a dot and an interval per system, scores on the left, differences on the right."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context

from downstream.report.comparison import ScoreTable
from downstream.report.formats.wording import against, kind
from downstream.results.interval import Interval
from mim_backbones.console.charts import LIGHT, STYLE, blank, encoded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW_HEIGHT = 0.34


def chart(table: ScoreTable, form: str = 'svg') -> bytes:
    """The headline metrics of one group as an encoded picture, form 'svg' or 'png'.

    The same table gives the same bytes. Drawn on its own canvas: no window, no global state.
    """
    metrics = table.group.headline_metrics
    compared = any(row.differences for row in table.rows)
    height = len(metrics) * (ROW_HEIGHT * len(table.rows) + 0.95)
    with rc_context(STYLE):
        figure = blank(height)
        panels = figure.subplots(len(metrics), 1 + compared, squeeze=False, sharey='row')
        for axes, metric in zip(panels, metrics):
            _draw_scores(axes[0], table, metric)
            if compared:
                _draw_differences(axes[1], table, metric)
        return encoded(figure, form)


def _draw_scores(axes: 'Axes', table: ScoreTable, metric: str) -> None:
    _draw(
        axes,
        [row.scores[metric].interval or row.scores[metric].value for row in table.rows],
        [
            LIGHT['baseline' if row.system.label in table.baselines else 'score']
            for row in table.rows
        ],
        lambda value: f'{value:.1f}',
    )
    axes.set_yticks(range(len(table.rows)), [row.system.label for row in table.rows])
    title = f'{table.group.metric_name(metric)}, %'
    axes.set_title(title, loc='left', fontsize=10, color=LIGHT['ink'])


def _draw_differences(axes: 'Axes', table: ScoreTable, metric: str) -> None:
    found = [row.differences.get(metric) for row in table.rows]
    axes.axvline(0, color=LIGHT['ink'], linewidth=0.9, zorder=1)
    _draw(
        axes,
        found,
        [LIGHT[kind(one) if one else 'unclear'] for one in found],
        lambda value: f'{value:+.1f}'.replace('-', '−'),
    )
    for place, row in enumerate(table.rows):
        if row.system.label in table.baselines:
            axes.annotate('baseline', (0, place), (4, 4), textcoords='offset points',
                          fontsize=8, color=LIGHT['baseline'])  # fmt: skip
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.06 * (high - low)), max(high, 0.06 * (high - low)))
    title = f'minus {against(table.baselines)}, points'
    axes.set_title(title, loc='left', fontsize=10, color=LIGHT['ink'])


def _draw(
    axes: 'Axes',
    values: Sequence[Interval | float | None],
    own: Sequence[str],
    text: Callable[[float], str],
) -> None:
    for place, (value, colour) in enumerate(zip(values, own)):
        if value is None:
            continue
        mean = value.value if isinstance(value, Interval) else value
        if isinstance(value, Interval) and not np.isnan(value.low):
            # its middle need not be the value, which may be biased
            middle, reach = (value.low + value.high) / 2, (value.high - value.low) / 2
            axes.errorbar(middle, place, xerr=reach, fmt='none', ecolor=colour, elinewidth=1.6,
                          capsize=4, capthick=1.6, zorder=2)  # fmt: skip
        axes.plot(mean, place, 'o', color=colour, markersize=6, zorder=3)
        axes.annotate(text(mean), (mean, place), (0, 6), textcoords='offset points',
                      ha='center', fontsize=8.5, color=colour)  # fmt: skip
    axes.set_facecolor(LIGHT['paper'])
    axes.set_ylim(len(values) - 0.4, -0.75)  # first row on top
    axes.margins(x=0.12)
    axes.grid(axis='x', color=LIGHT['grid'], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9, colors=LIGHT['ink'])
    axes.tick_params(axis='x', labelsize=8.5, labelcolor=LIGHT['quiet'])
    axes.spines[['top', 'left', 'right']].set_visible(False)
    axes.spines['bottom'].set_color(LIGHT['grid'])
