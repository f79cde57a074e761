"""What a tracker's confidence is worth on a set: two tables and a figure.

    target there    the target is in view, by the data set's flags of absence
    box on it       it is, and the box overlaps it by more than a half

The first is what a lost-target signal is for; the second what the score map is trained to say.
Frames of all sequences are pooled, the given first ones left out. Measures: presence.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from numpy.typing import NDArray

from downstream.tracking.data import Sequence as Video
from downstream.tracking.formats.layouts import read_tracks
from downstream.tracking.scoring.frame_errors import frame_errors
from downstream.tracking.scoring.platt import fit_confidence
from downstream.tracking.scoring.presence import (
    BINS,
    best_presence,
    calibration,
    ordering,
    presence_curve,
)
from mim_backbones.console.charts import LIGHT, STYLE, blank, encoded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Table = dict[str, dict[str, float]]
THERE, ON_IT = 'target there', 'box on it'
COLOURS = {THERE: LIGHT['score'], ON_IT: LIGHT['amber']}
ON = 0.5  # IoU above which a box is on its target
HEIGHT = 3.1  # inches


@dataclass(frozen=True)
class Confidence:
    """Of a set's frames: confidence (F,), and by event whether it is so, (F,) bool.

    on_it: the event ON_IT. In `events` one that holds in every frame, or in none, is left out:
    nothing tells it.
    """

    confidence: NDArray
    on_it: NDArray
    events: dict[str, NDArray]


def pooled_confidence(
    videos: Sequence[Video],
    boxes: Mapping[str, NDArray],
    scores: Mapping[str, NDArray],
    protocol: str,
) -> Confidence:
    """Tracks by name, boxes (T, 4) xywh and scores (T,); by `protocol` a box is on its target."""
    rows = []
    for video in videos:
        overlap = frame_errors(boxes[video.name], video.boxes, video.visible, protocol).iou
        rows.append((scores[video.name][: len(video)], video.visible, overlap > ON))
    confidence, there, on_it = (np.concatenate([row[i][1:] for row in rows]) for i in range(3))
    events = {THERE: there, ON_IT: on_it & there}
    told = {name: flags for name, flags in events.items() if flags.any() and not flags.all()}
    return Confidence(confidence, events[ON_IT], told)


def fit_tracks(videos: Sequence[Video], folder: Path, protocol: str) -> tuple[float, float]:
    """The two numbers of platt.py for the tracks in a folder; for ON_IT, by `protocol`.

    Raises UserError when the box is on its target in every frame, or in none.
    """
    records = read_tracks(folder, [video.name for video in videos])
    boxes = {name: record.boxes[0] for name, record in records.items()}
    scores = {name: record.scores for name, record in records.items() if record.scores is not None}
    found = pooled_confidence(videos, boxes, scores, protocol)
    return fit_confidence(found.confidence, found.on_it)


def confidence_tables(found: Confidence) -> dict[str, Table]:
    """'presence': measures of each event; 'reliability': for each bin what was so how often.

    Measures of calibration only where the confidence is a probability.
    """
    probable = bool(((found.confidence >= 0) & (found.confidence <= 1)).all())
    measures: Table = {}
    for name, flags in found.events.items():
        measures[name] = vars(best_presence(found.confidence, flags))
        measures[name]['ordering'] = ordering(found.confidence, flags)
        if probable:
            measured = calibration(found.confidence, flags)
            measures[name] |= {'ece': measured.ece, 'brier': measured.brier}
    if not probable:
        return {'presence': measures}
    bins: Table = {}
    for name, flags in found.events.items():
        measured = calibration(found.confidence, flags)
        for place in np.flatnonzero(measured.count).tolist():
            row = bins.setdefault(f'{place / BINS:.1f} to {(place + 1) / BINS:.1f}', {})
            row['frames'] = int(measured.count[place])
            row['confidence'] = float(measured.confidence[place])
            row[name] = float(measured.present[place])
    return {'presence': measures, 'reliability': dict(sorted(bins.items()))}


def draw_confidence(found: Confidence) -> bytes:
    """A PNG: precision over recall of each event; what was so over what was said."""
    with rc_context(STYLE):
        figure = blank(HEIGHT)
        recall, reliability = figure.subplots(1, 2)
        reliability.plot([0, 1], [0, 1], color=LIGHT['baseline'], linewidth=0.8, linestyle=':')
        for name, flags in found.events.items():
            colour = COLOURS[name]
            _, precision, recalled = presence_curve(found.confidence, flags)
            recall.plot(recalled, precision, color=colour, linewidth=2, label=name)
            if ((found.confidence < 0) | (found.confidence > 1)).any():
                continue
            measured = calibration(found.confidence, flags)
            filled = measured.count > 0
            share = 90 * measured.count[filled] / measured.count.sum()
            said, so = measured.confidence[filled], measured.present[filled]
            reliability.plot(said, so, color=colour, linewidth=1.2, label=name)
            reliability.scatter(said, so, s=6 + share, color=colour)
        _name(recall, 'presence, at each threshold', 'recall', 'precision')
        _name(reliability, 'reliability (size of a dot: frames)', 'confidence', 'share of frames')
        recall.legend(frameon=False, fontsize=8.5, loc='lower left')
        return encoded(figure, 'png')


def _name(axes: 'Axes', title: str, below: str, beside: str) -> None:
    axes.set_title(title, loc='left', fontsize=9.5, color=LIGHT['ink'])
    axes.set_xlabel(below, fontsize=8.5, color=LIGHT['quiet'])
    axes.set_ylabel(beside, fontsize=8.5, color=LIGHT['quiet'])
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.grid(color=LIGHT['grid'], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=LIGHT['quiet'])
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color(LIGHT['grid'])
