"""Charts: a dot and an interval per system, scores on the left, differences on the right."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from downstream.report.comparison import ScoreTable
from downstream.report.formats.wording import against, kind
from downstream.results.interval import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 8.4  # inches
ROW_HEIGHT = 0.34
# The page's own colours. unclear: not told apart from the baseline; undecided: carries no mark.
LIGHT = {
    'paper': '#ffffff', 'ink': '#1f2328', 'quiet': '#57606a', 'grid': '#e4e7eb',
    'score': '#1f5fa8', 'baseline': '#6e7781', 'above': '#1a6b3c', 'below': '#b3261e',
    'unclear': '#6e7781', 'undecided': '#1f5fa8',
}  # fmt: skip
DARK = {
    'paper': '#0d1117', 'ink': '#e6edf3', 'quiet': '#9da7b3', 'grid': '#30363d',
    'score': '#79b8ff', 'baseline': '#9da7b3', 'above': '#56d364', 'below': '#ff7b72',
    'unclear': '#9da7b3', 'undecided': '#79b8ff',
}  # fmt: skip


def chart(table: ScoreTable, form: str = 'svg', dark: bool = False) -> bytes:
    """The headline metrics of one group as an encoded picture, form 'svg' or 'png'.

    The same table gives the same bytes. Drawn on its own canvas: no window, no global state.
    """
    metrics, colours = table.group.headline_metrics, DARK if dark else LIGHT
    compared = any(row.differences for row in table.rows)
    height = len(metrics) * (ROW_HEIGHT * len(table.rows) + 0.95)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)  # inches
    figure = Figure(figsize=(WIDTH, height), layout=layout, facecolor=colours['paper'])
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(metrics), 1 + compared, squeeze=False, sharey='row')
    for axes, metric in zip(panels, metrics):
        _draw_scores(axes[0], table, metric, colours)
        if compared:
            _draw_differences(axes[1], table, metric, colours)
    stream = io.BytesIO()
    stable = {'Date': None} if form == 'svg' else {'Software': None}
    # element ids in an SVG are random by default, which would make each report differ
    with rc_context({'svg.hashsalt': 'mimbench', 'svg.fonttype': 'path'}):
        figure.savefig(stream, format=form, dpi=200, metadata=stable)
    return stream.getvalue()


def _draw_scores(axes: 'Axes', table: ScoreTable, metric: str, colours: Mapping[str, str]) -> None:
    _draw(
        axes,
        [row.scores[metric].interval or row.scores[metric].value for row in table.rows],
        [
            colours['baseline' if row.system.label in table.baselines else 'score']
            for row in table.rows
        ],
        lambda value: f'{value:.1f}',
        colours,
    )
    axes.set_yticks(range(len(table.rows)), [row.system.label for row in table.rows])
    title = f'{table.group.metric_name(metric)}, %'
    axes.set_title(title, loc='left', fontsize=10, color=colours['ink'])


def _draw_differences(
    axes: 'Axes', table: ScoreTable, metric: str, colours: Mapping[str, str]
) -> None:
    found = [row.differences.get(metric) for row in table.rows]
    axes.axvline(0, color=colours['ink'], linewidth=0.9, zorder=1)
    _draw(
        axes,
        found,
        [colours[kind(one) if one else 'unclear'] for one in found],
        lambda value: f'{value:+.1f}'.replace('-', '−'),
        colours,
    )
    for place, row in enumerate(table.rows):
        if row.system.label in table.baselines:
            axes.annotate('baseline', (0, place), (4, 4), textcoords='offset points',
                          fontsize=8, color=colours['baseline'])  # fmt: skip
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.06 * (high - low)), max(high, 0.06 * (high - low)))
    title = f'minus {against(table.baselines)}, points'
    axes.set_title(title, loc='left', fontsize=10, color=colours['ink'])


def _draw(
    axes: 'Axes',
    values: Sequence[Interval | float | None],
    own: Sequence[str],
    text: Callable[[float], str],
    colours: Mapping[str, str],
) -> None:
    for place, (value, colour) in enumerate(zip(values, own)):
        if value is None:
            continue
        mean = value.value if isinstance(value, Interval) else value
        if isinstance(value, Interval) and not np.isnan(value.low):
            outward = [[max(0, mean - value.low)], [max(0, value.high - mean)]]
            axes.errorbar(mean, place, xerr=outward, fmt='none', ecolor=colour, elinewidth=1.6,
                          capsize=4, capthick=1.6, zorder=2)  # fmt: skip
        axes.plot(mean, place, 'o', color=colour, markersize=6, zorder=3)
        axes.annotate(text(mean), (mean, place), (0, 6), textcoords='offset points',
                      ha='center', fontsize=8.5, color=colour)  # fmt: skip
    axes.set_facecolor(colours['paper'])
    axes.set_ylim(len(values) - 0.4, -0.75)  # first row on top
    axes.margins(x=0.12)
    axes.grid(axis='x', color=colours['grid'], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9, colors=colours['ink'])
    axes.tick_params(axis='x', labelsize=8.5, labelcolor=colours['quiet'])
    axes.spines[['top', 'left', 'right']].set_visible(False)
    axes.spines['bottom'].set_color(colours['grid'])
