"""What is done with a trained tracker: run the test sequences, score them, show some."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from downstream.tracking.box_text import write_boxes
from downstream.tracking.data import Sequence
from downstream.tracking.lockstep import Track, track_sequences
from downstream.tracking.metrics import dataset_scores, frame_errors, sequence_curves
from downstream.tracking.model import OneStreamTracker
from downstream.tracking.picture import write_strips
from downstream.tracking.units import TrackingUnits
from mim_backbones.training.precision import autocast


@dataclass(frozen=True)
class TrackingEvaluation:
    """metrics: AUC, P, P_norm in percent; units: the curves of each sequence; tracks: the boxes."""

    metrics: dict[str, float]
    units: TrackingUnits
    tracks: list[Track]


def evaluate(
    model: OneStreamTracker,
    sequences: list[Sequence],
    device: str = 'cpu',
    protocol: str = 'ostrack',
    batch_size: int = 16,
    precision: str = 'fp32',
    picture_path: str | Path | None = None,
    results_dir: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TrackingEvaluation:
    """Track every sequence from its first box and score the tracks.

    Args:
        protocol: the evaluator's rules, see metrics.py; goes into the result's protocol.
        batch_size: sequences tracked side by side; does not change the result.
        precision: 'fp32', 'bf16' or 'auto', of the network.
        picture_path: PNG with the best, the middle and the worst sequence.
        results_dir: one file of boxes per sequence.
        progress: called with frames done and frames in total.

    Raises:
        UserError: a frame cannot be read, or a file not be written.
    """
    model = model.to(device).eval()
    with autocast(model.hann.device.type, precision):
        tracks = track_sequences(model, sequences, batch_size, progress)
    curves = [
        sequence_curves(frame_errors(track.boxes, sequence.boxes, sequence.visible, protocol))
        for sequence, track in zip(sequences, tracks)
    ]
    units = TrackingUnits(
        [sequence.name for sequence in sequences],
        np.stack([curve.success for curve in curves]),
        np.stack([curve.precision for curve in curves]),
        np.stack([curve.norm_precision for curve in curves]),
    )
    if results_dir is not None:
        for track in tracks:
            write_boxes(Path(results_dir, f'{track.name}.txt'), track.boxes)
    if picture_path is not None:
        auc = [100 * float(curve.success.mean()) for curve in curves]
        order = np.argsort(auc, kind='stable')[::-1].tolist()
        shown = dict.fromkeys((order[0], order[len(order) // 2], order[-1]))
        rows = [(f'{tracks[i].name}  AUC {auc[i]:.1f}', sequences[i], tracks[i]) for i in shown]
        write_strips(picture_path, rows)
    return TrackingEvaluation(dataset_scores(curves, protocol), units, tracks)
