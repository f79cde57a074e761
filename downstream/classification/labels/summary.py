"""Scores against the number of labels, with intervals, as a table and as a figure.

An interval covers other test pictures and other draws of the labelled pictures (seeds); differences
are to the first checkpoint, on the same pictures. interval.py says how both are computed.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context

from downstream.classification.labels.sweep import Cell
from downstream.results.interval import HalfScores, difference, half_scores, interval
from mim_backbones.console.charts import LIGHT, STYLE, blank, encoded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METRIC = 'top1'
COLOURS = ('score', 'amber', 'teal', 'violet', 'above', 'below', 'baseline')
PANEL_HEIGHT = 3.4  # inches
APART = 1.25  # numbers of labels nearer than this share a tick


@dataclass(frozen=True)
class LabelScore:
    """Of one checkpoint, protocol and number of labels: top-1 in percent, mean over seeds.

    labels: pictures, on average over seeds.
    minus_first, minus_low, minus_high: difference to the first checkpoint; None for itself.
    """

    checkpoint: str
    protocol: str
    asked: str
    labels: float
    seeds: int
    top1: float
    low: float
    high: float
    minus_first: float | None = None
    minus_low: float | None = None
    minus_high: float | None = None


def summarise(cells: Sequence[Cell]) -> list[LabelScore]:
    """A row for each checkpoint, protocol and number of labels, in the order of the cells."""
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.checkpoint, cell.protocol, cell.asked), []).append(cell)
    halves: dict[tuple[str, str, str], list[HalfScores]] = {
        key: [half_scores(cell.units)[METRIC] for cell in some] for key, some in groups.items()
    }
    first = cells[0].checkpoint
    rows = []
    for key, some in groups.items():
        checkpoint, protocol, asked = key
        found = interval(halves[key])
        against = {}
        if checkpoint != first:
            gap = difference(halves[key], halves[first, protocol, asked])
            against = {'minus_first': gap.value, 'minus_low': gap.low, 'minus_high': gap.high}
        labels = float(np.mean([cell.labels for cell in some]))
        scores = (found.value, found.low, found.high)
        rows.append(LabelScore(checkpoint, protocol, asked, labels, len(some), *scores, **against))
    return rows


def table_csv(rows: Sequence[LabelScore]) -> str:
    """The rows as CSV, with a line of names."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(LabelScore.__dataclass_fields__), lineterminator='\n')
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return stream.getvalue()


def figure(rows: Sequence[LabelScore], form: str) -> bytes:
    """An encoded picture, 'png' or 'svg', with a panel for each protocol."""
    protocols = list(dict.fromkeys(row.protocol for row in rows))
    names = list(dict.fromkeys(row.checkpoint for row in rows))
    lines = -(-len(protocols) // 2)
    with rc_context(STYLE):
        page = blank(PANEL_HEIGHT * lines)
        panels = page.subplots(lines, min(2, len(protocols)), squeeze=False).ravel().tolist()
        for axes, protocol in zip(panels, protocols):
            _draw(axes, [row for row in rows if row.protocol == protocol], names)
            axes.set_title(protocol, loc='left', fontsize=10, color=LIGHT['ink'])
        for axes in panels[len(protocols) :]:
            axes.set_visible(False)
        return encoded(page, form)


def _draw(axes: 'Axes', rows: Sequence[LabelScore], names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        own = sorted((row for row in rows if row.checkpoint == name), key=lambda row: row.labels)
        if not own:
            continue
        colour = LIGHT[COLOURS[place % len(COLOURS)]]
        labels = [row.labels for row in own]
        axes.fill_between(labels, [row.low for row in own], [row.high for row in own],
                          color=colour, alpha=0.16, linewidth=0)  # fmt: skip
        axes.plot(labels, [row.top1 for row in own], '-o', color=colour, markersize=4,
                  linewidth=1.4, label=name)  # fmt: skip
    axes.set_xscale('log')
    ticks: list[float] = []
    for labels in sorted({row.labels for row in rows}):
        if not ticks or labels > APART * ticks[-1]:
            ticks.append(labels)
    axes.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel('labelled pictures', fontsize=8.5, color=LIGHT['quiet'])
    axes.set_ylabel('top-1, %', fontsize=8.5, color=LIGHT['quiet'])
    axes.set_facecolor(LIGHT['paper'])
    axes.grid(color=LIGHT['grid'], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8, labelcolor=LIGHT['quiet'])
    axes.spines[['top', 'left', 'right']].set_visible(False)
    axes.spines['bottom'].set_color(LIGHT['grid'])
    axes.legend(frameon=False, fontsize=8, labelcolor=LIGHT['ink'])
