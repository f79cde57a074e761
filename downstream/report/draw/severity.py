"""Scores over severity: a panel for each corruption, a line for each system."""

import math
from typing import TYPE_CHECKING

from matplotlib import rc_context

from downstream.report.degradation import DegradationTable
from mim_backbones.console.charts import LIGHT, STYLE, blank, encoded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 5
COLOURS = ('score', 'amber', 'teal', 'violet', 'above', 'below')
DASHES = ('-', '--', ':', '-.')  # where systems are more than colours


def severity_chart(table: DegradationTable, form: str = 'svg') -> bytes:
    """The primary metric as an encoded picture, form 'svg' or 'png'; severity 0 is clean."""
    names = table.corruptions
    columns = min(COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    with rc_context(STYLE):
        figure = blank(1.6 * rows + 0.55)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        panels = grid.ravel().tolist()
        for axes, name in zip(panels, names):
            _draw(axes, table, name)
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        highest = max(line.get_ydata().max() for axes in panels for line in axes.lines)
        panels[0].set_ylim(0, 1.08 * highest or 1)
        metric = table.group.metric_name(table.group.primary)
        figure.supylabel(f'{metric}, %', fontsize=9, color=LIGHT['quiet'])
        figure.supxlabel('severity; 0: clean', fontsize=9, color=LIGHT['quiet'])
        figure.legend(
            panels[0].lines, [row.system.label for row in table.rows], loc='outside upper left',
            ncols=3, fontsize=8.5, frameon=False, labelcolor=LIGHT['ink'],
        )  # fmt: skip
        return encoded(figure, form)


def _draw(axes: 'Axes', table: DegradationTable, name: str) -> None:
    metric = table.group.primary
    others = [row.system.label for row in table.rows if row.system.label not in table.baselines]
    for row in table.rows:
        label = row.system.label
        colour, dash = 'baseline', '--'
        if label in others:
            turn, place = divmod(others.index(label), len(COLOURS))
            colour, dash = COLOURS[place], DASHES[turn % len(DASHES)]
        axes.plot(
            (0, *table.severities), (row.clean[metric], *row.levels[metric, name]), dash,
            color=LIGHT[colour], marker='o', markersize=3, linewidth=1.4,
        )  # fmt: skip
    axes.set_title(name.replace('_', ' '), loc='left', fontsize=9, color=LIGHT['ink'])
    axes.set_facecolor(LIGHT['paper'])
    axes.set_xticks((0, *table.severities))
    axes.grid(color=LIGHT['grid'], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8, labelcolor=LIGHT['quiet'])
    axes.spines[['top', 'left', 'right']].set_visible(False)
    axes.spines['bottom'].set_color(LIGHT['grid'])
