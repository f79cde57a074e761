"""LaSOT's scores as an mmengine metric, for the Runner's test loop.

Frames, curves and protocols: scoring/. Result files: formats/.
"""

from collections.abc import Sequence as Many
from pathlib import Path

from mmengine.evaluator import BaseMetric

from downstream.registry import METRICS
from downstream.tracking.formats.layouts import TrackRecord, check_target, find_layout, write_tracks
from downstream.tracking.scoring.curves import (
    Curves,
    dataset_scores,
    sequence_curves,
    units_of,
)
from downstream.tracking.scoring.frame_errors import frame_errors
from downstream.tracking.scoring.rules import check_protocol
from downstream.tracking.tracker import Track
from downstream.tracking.units import TrackingUnits


@METRICS.register_module()
class LasotMetric(BaseMetric):
    """AUC, P and P_norm in percent, over the sequences of a LasotSequences loader.

    After `evaluate`, `units` holds the curves of each sequence, `tracks` what was predicted.

    Args:
        protocol: which evaluator's rules, see scoring/rules.py.
        results_dir: where to write result files: a folder, or FILE.zip for a server's format.
        results_format: whose layout they have, see formats/layouts.py.
        whole_pixels: truncate boxes to integers, as pytracking and OSTrack do; that alone moves the
            score of a sequence by up to a point.
    """

    def __init__(
        self,
        protocol: str = 'ostrack',
        results_dir: str | None = None,
        results_format: str = 'pytracking',
        whole_pixels: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        check_protocol(protocol)
        self.layout = find_layout(results_format)
        self.protocol = protocol
        self.results_dir = None if results_dir is None else Path(results_dir)
        if self.results_dir is not None:
            check_target(self.results_dir, self.layout)
        self.whole_pixels = whole_pixels
        self.units: TrackingUnits | None = None
        self.tracks: dict[str, Track] = {}

    def process(self, data_batch: dict, data_samples: Many[Track]) -> None:
        for sequence, track in zip(data_batch['inputs'], data_samples):
            errors = frame_errors(track.boxes, sequence.boxes, sequence.visible, self.protocol)
            self.results.append((sequence_curves(errors), track))

    def compute_metrics(self, results: list[tuple[Curves, Track]]) -> dict[str, float]:
        curves = [curve for curve, _ in results]
        self.tracks = {track.name: track for _, track in results}
        self.units = units_of(list(self.tracks), curves, self.protocol)
        if self.results_dir is not None:
            found = {
                name: TrackRecord([track.boxes], [track.seconds], track.scores)
                for name, track in self.tracks.items()
            }
            write_tracks(self.results_dir, found, self.layout, self.whole_pixels)
        return dataset_scores(curves, self.protocol)
