"""Our evaluators against pycocotools' and mmseg's on the same generated predictions."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from downstream.bench.predictions import write_instances, write_maps
from mim_backbones.errors import UserError

FROM_LOGITS = 16  # pictures at most: mmseg takes a second for each
LOGITS = 'logits'
OPPONENTS = {
    'detection': 'mmdet CocoMetric (pycocotools)',
    'segmentation': 'mmseg IoUMetric',
    LOGITS: 'mmseg resize, argmax, IoUMetric',
}


@dataclass(frozen=True)
class Versus:
    """One comparison; seconds and MiB of both sides, `interval_seconds` on top of ours.

    difference: the largest between two figures that both sides give, in percent points.
    """

    what: str
    opponent: str
    images: int
    seconds: float
    their_seconds: float
    cpu_seconds: float
    their_cpu_seconds: float
    interval_seconds: float
    peak_mib: float | None
    their_peak_mib: float | None
    difference: float
    figures: int

    @property
    def speedup(self) -> float:
        return self.their_seconds / self.seconds

    @property
    def cpu_speedup(self) -> float:
        """The same of processor time, which other processes on the machine disturb less."""
        return self.their_cpu_seconds / self.cpu_seconds

    @property
    def memory_share(self) -> float | None:
        if not self.peak_mib or not self.their_peak_mib:
            return None
        return self.peak_mib / self.their_peak_mib

    def as_record(self) -> dict[str, Any]:
        ratios = ('speedup', 'cpu_speedup', 'memory_share')
        return {**asdict(self), **{key: getattr(self, key) for key in ratios}}


def compare(tasks: Sequence[str], images: int) -> Iterator[Versus]:
    """Each task's comparisons, as they are done; predictions are written below the system's tmp."""
    with tempfile.TemporaryDirectory(prefix='mimbench-') as name:
        folder = Path(name)
        if 'detection' in tasks:
            write_instances(folder, images)
            yield _versus('detection', folder, images)
        if 'segmentation' in tasks:
            write_maps(folder, images)
            yield _versus('segmentation', folder, images)
            fewer = min(images, FROM_LOGITS)
            write_maps(folder, fewer)
            yield _versus(LOGITS, folder, fewer)


def _versus(what: str, folder: Path, images: int) -> Versus:
    theirs, ours = (_in_its_own_process(what, side, folder) for side in ('theirs', 'ours'))
    shared = [key for key in ours['scores'] if key in theirs['scores']]
    return Versus(
        what=what,
        opponent=OPPONENTS[what],
        images=images,
        seconds=ours['seconds'],
        their_seconds=theirs['seconds'],
        cpu_seconds=ours['cpu_seconds'],
        their_cpu_seconds=theirs['cpu_seconds'],
        interval_seconds=ours['interval_seconds'],
        peak_mib=ours['peak_mib'],
        their_peak_mib=theirs['peak_mib'],
        difference=max(abs(ours['scores'][key] - theirs['scores'][key]) for key in shared),
        figures=len(shared),
    )


def _in_its_own_process(what: str, side: str, folder: Path) -> dict[str, Any]:
    """A process's peak is its own; the one before would leave its memory behind."""
    command = [sys.executable, '-m', 'downstream.bench.evaluators', what, side, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        who = OPPONENTS[what] if side == 'theirs' else 'ours'
        raise UserError(f'{what}, {who}: ended early; what it said stands above')
    return json.loads(done.stdout.splitlines()[-1])
