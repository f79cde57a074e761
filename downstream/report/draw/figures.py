"""Charts: a dot and an interval per system, scores on the left, differences on the right."""

import io
import re
from collections.abc import Callable, Sequence
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
# Part of a chart -> its colour on a light page and on a dark one.
COLOURS = {
    'paper': ('#ffffff', '#0d1117'),
    'ink': ('#1f2328', '#e6edf3'),
    'quiet': ('#57606a', '#9da7b3'),
    'grid': ('#e4e7eb', '#30363d'),
    'score': ('#1f5fa8', '#79b8ff'),
    'baseline': ('#6e7781', '#9da8b4'),
    'above': ('#1a6b3c', '#56d364'),
    'below': ('#b3261e', '#ff7b72'),
    'unclear': ('#6e7781', '#9da8b4'),
    'undecided': ('#1f5fa8', '#79b8ff'),  # carries no mark
    'amber': ('#9a5b00', '#f0b35a'),
    'violet': ('#6f42c1', '#d2a8ff'),
    'teal': ('#0b7285', '#56d4dd'),
}
STYLE = {
    'svg.hashsalt': 'mimbench',  # element ids are random by default: each report would differ
    'svg.fonttype': 'path',
    'text.parse_math': False,  # names are no formulas
}
LIGHT = {part: light for part, (light, _) in COLOURS.items()}


def for_dark_page(svg: bytes) -> bytes:
    """The chart with the colours of a dark page."""
    dark = {light.encode(): other.encode() for light, other in COLOURS.values()}
    return re.sub(b'|'.join(dark), lambda found: dark[found[0]], svg)


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


def blank(height: float) -> Figure:
    """An empty figure of a page's width and a height in inches."""
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)  # inches
    figure = Figure(figsize=(WIDTH, height), layout=layout, facecolor=LIGHT['paper'])
    FigureCanvasAgg(figure)
    return figure


def encoded(figure: Figure, form: str) -> bytes:
    """The same figure gives the same bytes."""
    stream = io.BytesIO()
    stable = {'Date': None} if form == 'svg' else {'Software': None}
    figure.savefig(stream, format=form, dpi=200, metadata=stable)
    return stream.getvalue()


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
