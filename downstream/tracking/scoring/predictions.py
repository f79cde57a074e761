"""Tracks made elsewhere, scored: files of any layout in formats/, by the rules of one evaluator.

A file for every test sequence, a box for every frame. More boxes than frames are cut, as every
evaluator does, and said; fewer are an error. Repetitions of one tracker count as their mean.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from downstream.task import Evaluation
from downstream.tracking.curve_plot import draw_curves
from downstream.tracking.data import Sequence as Video
from downstream.tracking.data import TrackingData, read_sequences
from downstream.tracking.formats.layouts import read_tracks
from downstream.tracking.scoring.attributes import attribute_scores, read_attributes
from downstream.tracking.scoring.confidence import (
    Table,
    confidence_tables,
    draw_confidence,
    pooled_confidence,
)
from downstream.tracking.scoring.curves import (
    Curves,
    dataset_scores,
    mean_curves,
    sequence_curves,
    units_of,
)
from downstream.tracking.scoring.frame_errors import frame_errors, gaps
from downstream.tracking.scoring.got10k import (
    frame_overlaps,
    frames_per_second,
    pooled_scores,
    read_truths,
)
from downstream.tracking.scoring.rules import GOT10K, PROTOCOLS
from mim_backbones.errors import UserError


def score_tracks(data: TrackingData, predictions: Path, protocol: str) -> Evaluation:
    """AUC, P and P_norm of the tracks on the test sequences; of `got10k` AO and SR.

    Raises:
        UserError: a track is missing or cannot be scored, or the protocol is not for this data;
            names which.
    """
    if (protocol == GOT10K) != (data.layout == GOT10K):
        raise UserError(
            f'--protocol {protocol} does not score layout {data.layout}; protocol and layout '
            f'{GOT10K} go together'
        )
    if protocol == GOT10K:
        return _score_got10k(data, predictions)
    videos = read_sequences(data.root, data.test_list)
    records = read_tracks(predictions, [one.name for one in videos])
    boxes = {name: record.boxes for name, record in records.items()}
    curves = all_curves(videos, boxes, protocol)
    units = units_of([one.name for one in videos], curves, protocol)
    tables = {'protocols': scores_by_protocol(videos, boxes)}
    if (folder := data.root / data.attributes).is_dir():
        tables['attributes'] = attribute_scores(units, read_attributes(folder, units.names))
    pictures = {'curves.png': draw_curves(units, protocol)}
    scores = {name: each.scores for name, each in records.items() if each.scores is not None}
    if len(scores) == len(videos):
        first = {name: each.boxes[0] for name, each in records.items()}
        told = pooled_confidence(videos, first, scores, protocol)
        if told.events:
            tables |= confidence_tables(told)
            pictures['confidence.png'] = draw_confidence(told)
    return Evaluation(
        dataset_scores(curves, protocol),
        units,
        pictures,
        _notes(videos, boxes),
        protocol,
        tables,
    )


def all_curves(
    videos: Sequence[Video], boxes: Mapping[str, list[NDArray]], protocol: str
) -> list[Curves]:
    """Each video's, the mean of its repetitions'; boxes: name -> (T, 4) xywh of each.

    Raises UserError naming the video.
    """
    found = []
    for video in videos:
        try:
            runs = [
                sequence_curves(frame_errors(each, video.boxes, video.visible, protocol))
                for each in boxes[video.name]
            ]
        except UserError as error:
            raise UserError(f'{video.name}: {error}') from error
        found.append(mean_curves(runs))
    return found


def scores_by_protocol(videos: Sequence[Video], boxes: Mapping[str, list[NDArray]]) -> Table:
    """What each evaluator gives, in percent; those that refuse such tracks are left out."""
    table = {}
    for protocol in PROTOCOLS:
        try:
            table[protocol] = dataset_scores(all_curves(videos, boxes, protocol), protocol)
        except UserError:  # NaN, which lasot_matlab alone repairs
            continue
    return table


def _notes(videos: Sequence[Video], boxes: Mapping[str, list[NDArray]]) -> tuple[str, ...]:
    """What was not scored as it stands."""
    runs = [(len(video), each) for video in videos for each in boxes[video.name]]
    longer = sum(len(each) > frames for frames, each in runs)
    empty = sum(int(gaps(each[:frames]).sum()) for frames, each in runs)
    notes = []
    if longer:
        notes.append(f'{longer} of {len(runs)} tracks are longer than their sequence, and were cut')
    if empty:
        notes.append(
            f'{empty} boxes have no area; each repeats the one before (mmtracking: counts as it is)'
        )
    return tuple(notes)


def _score_got10k(data: TrackingData, predictions: Path) -> Evaluation:
    truths = read_truths(data.root, data.test_list)
    records = read_tracks(predictions, [truth.name for truth in truths])
    overlaps = [
        frame_overlaps(each, truth) for truth in truths for each in records[truth.name].boxes
    ]
    speed = frames_per_second([each for record in records.values() for each in record.times])
    tables = {'speed': {'as written': {'frames/s': speed}}} if np.isfinite(speed) else {}
    return Evaluation(pooled_scores(overlaps), rules=GOT10K, tables=tables)
