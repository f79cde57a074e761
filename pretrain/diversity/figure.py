"""The picture of a comparison: diversities, likeness by distance, and scores where there are some.

Left: mean diversity with its standard deviation over images. Right: mean cosine of two tokens over
their distance in shares of the map's side, as grids differ. Below: a panel for each task.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib import rc_context

from mim_backbones.console.charts import LIGHT, STYLE, blank, encoded
from pretrain.diversity.measure import Measured
from pretrain.diversity.scores import Against

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ('score', 'amber', 'teal', 'violet', 'above', 'below', 'baseline')
DASHES = ('-', '--', ':', '-.')  # where targets are more than colours
ROW_HEIGHT, PANEL_HEIGHT = 0.3, 3.0  # inches


def look(place: int) -> tuple[str, str]:
    """Colour and dash of the target at a place."""
    turn, colour = divmod(place, len(COLOURS))
    return LIGHT[COLOURS[colour]], DASHES[turn % len(DASHES)]


def figure(measured: Sequence[Measured], against: Sequence[Against], form: str) -> bytes:
    """An encoded picture, form 'png' or 'svg'; the same input gives the same bytes."""
    first = max(PANEL_HEIGHT, 1.2 + ROW_HEIGHT * len(measured))
    rows = -(-len(against) // 2)
    looks = {one.name: look(place) for place, one in enumerate(measured)}
    with rc_context(STYLE):
        page = blank(first + PANEL_HEIGHT * rows)
        ratios = [first, *[PANEL_HEIGHT] * rows]
        panels = page.subplots(1 + rows, 2, squeeze=False, height_ratios=ratios)
        _draw_diversity(panels[0, 0], measured, looks)
        _draw_similarity(panels[0, 1], measured, looks)
        below = panels[1:].ravel().tolist()
        for axes, one in zip(below, against):
            _draw_scores(axes, one, looks)
        for axes in below[len(against) :]:
            axes.set_visible(False)
        return encoded(page, form)


def _draw_diversity(
    axes: 'Axes', measured: Sequence[Measured], looks: dict[str, tuple[str, str]]
) -> None:
    for place, one in enumerate(measured):
        colour, _ = looks[one.name]
        mean, deviation = one.diversity.mean, one.diversity.deviation
        if deviation is not None:
            axes.errorbar(mean, place, xerr=deviation, fmt='none', ecolor=colour, elinewidth=1.6,
                          capsize=4, capthick=1.6)  # fmt: skip
        axes.plot(mean, place, 'o', color=colour, markersize=6)
        axes.annotate(f'{mean:.3f}', (mean, place), (0, 6), textcoords='offset points',
                      ha='center', fontsize=8.5, color=colour)  # fmt: skip
    axes.set_yticks(range(len(measured)), [one.name for one in measured])
    axes.set_ylim(len(measured) - 0.4, -0.75)  # first row on top
    axes.margins(x=0.12)
    _dress(axes, f'token diversity ± deviation, {measured[0].images} images')
    axes.tick_params(axis='y', labelsize=9, labelcolor=LIGHT['ink'])


def _draw_similarity(
    axes: 'Axes', measured: Sequence[Measured], looks: dict[str, tuple[str, str]]
) -> None:
    for one in measured:
        colour, dash = looks[one.name]
        side = max(one.grid)
        shares = [(1 + cells) / side for cells in range(len(one.similarity))]
        marker = 'o' if len(shares) < 20 else None
        axes.plot(shares, one.similarity, dash, color=colour, marker=marker, markersize=3,
                  linewidth=1.4, label=one.name)  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_xlabel("distance, share of the map's side", fontsize=8.5, color=LIGHT['quiet'])
    _dress(axes, 'mean cosine of two tokens')


def _draw_scores(axes: 'Axes', one: Against, looks: dict[str, tuple[str, str]]) -> None:
    for point in one.points:
        colour, _ = looks[point.name]
        x, y = point.diversity.mean, point.score
        if point.low is not None and point.high is not None:
            # drawn as a line: its middle need not be the score, which may be biased
            axes.vlines(x, point.low, point.high, color=colour, linewidth=1.4)
        axes.plot(x, y, 'o', color=colour, markersize=6)
        axes.annotate(point.name, (x, y), (6, 4), textcoords='offset points', fontsize=8,
                      color=colour)  # fmt: skip
    axes.margins(x=0.25, y=0.15)
    verdict = one.verdict().replace(': ', ':\n')
    axes.set_xlabel(f'token diversity\n{verdict}', fontsize=8.5, color=LIGHT['quiet'])
    axes.set_ylabel(f'{one.metric}, %', fontsize=8.5, color=LIGHT['quiet'])
    _dress(axes, one.title)


def _dress(axes: 'Axes', title: str) -> None:
    axes.set_title(title, loc='left', fontsize=10, color=LIGHT['ink'])
    axes.set_facecolor(LIGHT['paper'])
    axes.grid(color=LIGHT['grid'], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=LIGHT['quiet'])
    axes.spines[['top', 'left', 'right']].set_visible(False)
    axes.spines['bottom'].set_color(LIGHT['grid'])
