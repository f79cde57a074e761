"""LaSOT's scores as an mmengine metric, for the Runner's val and test loops."""

from collections.abc import Sequence as Many
from pathlib import Path

from mmengine.evaluator import BaseMetric

from downstream.registry import METRICS
from downstream.tracking.box_text import write_boxes
from downstream.tracking.lockstep import Track
from downstream.tracking.metrics import (
    PROTOCOLS,
    SequenceCurves,
    dataset_scores,
    frame_errors,
    sequence_curves,
)
from mim_backbones.errors import UserError


@METRICS.register_module()
class LasotMetric(BaseMetric):
    """AUC, P and P_norm in percent, over the sequences of a LasotSequences loader.

    Args:
        protocol: which evaluator's rules, see metrics.py.
        results_dir: where to write one result file per sequence (pytracking's layout).
    """

    default_prefix = 'lasot'

    def __init__(
        self,
        protocol: str = 'ostrack',
        results_dir: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        if protocol not in PROTOCOLS:
            raise UserError(f'LasotMetric: protocol={protocol!r}; known: {", ".join(PROTOCOLS)}')
        self.protocol = protocol
        self.results_dir = results_dir

    def process(self, data_batch: dict, data_samples: Many[Track]) -> None:
        for sequence, track in zip(data_batch['inputs'], data_samples):
            errors = frame_errors(track.boxes, sequence.boxes, sequence.visible, self.protocol)
            self.results.append(sequence_curves(errors))
            if self.results_dir is not None:
                write_boxes(Path(self.results_dir, f'{track.name}.txt'), track.boxes)

    def compute_metrics(self, results: list[SequenceCurves]) -> dict[str, float]:
        return dataset_scores(results, self.protocol)
