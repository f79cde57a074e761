"""A training killed before each of its operations on files, one after the other.

    python -m tests.soak.faults

Whatever it had come to: a checkpoint that was noted is there and whole, the run that goes on ends
as one that was not killed, and nothing is left over. Prints how often, as JSON.
"""

import argparse
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS
from mmengine.runner import runner as mmengine_runner

from mim_backbones.training.resume import newest_whole
from tests.mim_backbones.training.line import trained
from tests.soak.kills import differences, ended, final

OPERATIONS = ('replace', 'unlink', 'remove', 'fsync', 'chmod')
LOG = logging.getLogger('faults')
LOG.addHandler(logging.NullHandler())
VALIDATED = {
    'val_dataloader': {'batch_size': 1, 'dataset': {'type': 'SoakNumbers', 'length': 1},
                       'collate_fn': {'type': 'default_collate'},
                       'sampler': {'type': 'DefaultSampler', 'shuffle': False}},
    'val_cfg': {'type': 'ValLoop'},
    'val_evaluator': {'type': 'Rising'},
}  # fmt: skip
LAYOUTS: dict[str, dict[str, Any]] = {
    'one kept': {'max_keep_ckpts': 1},
    'one kept, in mid-epoch': {'max_keep_ckpts': 1, 'by_epoch': False, 'interval': 2},
    'one kept and the best': {'max_keep_ckpts': 1, 'save_best': 'score', 'rule': 'greater'},
}


@METRICS.register_module(force=True)
class Rising(BaseMetric):
    """Scores 1, 2, 3, ...: each validation finds a new best."""

    count = 0

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(1)

    def compute_metrics(self, results: list) -> dict[str, float]:
        Rising.count += 1
        return {'score': float(Rising.count)}


def train(work_dir: Path, saving: dict[str, Any], die_before: int | None = None) -> int:
    """Trains in a process of its own, killed before the n-th operation; its exit code."""
    pid = os.fork()
    if not pid:
        mmengine_runner.collect_env = dict
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if die_before is not None:
            count_down(die_before, str(work_dir))
        code = 1
        try:
            best = VALIDATED if 'save_best' in saving else {}
            checkpoint = {'type': 'CheckpointHook', 'interval': 1, **saving}
            trained(
                work_dir, resume=True, default_hooks={'logger': None, 'checkpoint': checkpoint},
                train_cfg={'by_epoch': True, 'max_epochs': 3}, **best,
            )  # fmt: skip
            code = 0
        finally:
            os._exit(code)
    code = ended(pid, 60)
    assert code is not None, 'a training hangs'
    return code


def count_down(number: int, folder: str) -> None:
    """Have this process kill itself before the n-th operation on files."""
    left = [number]

    def counted(operation: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return operation(*args, **kwargs)

        return call

    for name in OPERATIONS:
        setattr(os, name, counted(getattr(os, name)))


def run(layout: str, folder: Path) -> Counter:
    """Every moment of one way to keep checkpoints."""
    counts: Counter = Counter()
    saving = LAYOUTS[layout]
    assert train(folder / 'whole', saving) == 0
    wanted = final(folder / 'whole')
    work_dir = folder / 'killed'
    while True:
        shutil.rmtree(work_dir, ignore_errors=True)
        code = train(work_dir, saving, die_before=counts['killed'] + 1)
        if code == 0:
            return counts
        assert code == -signal.SIGKILL, f'{layout}: exit code {code}'
        counts['killed'] += 1
        note = work_dir / 'last_checkpoint'
        if note.exists():
            counts['noted'] += 1
            assert Path(note.read_text()).is_file(), f'{layout}: the note names a missing file'
            assert newest_whole(work_dir, LOG), f'{layout}: nothing whole'
        assert train(work_dir, saving) == 0
        found = final(work_dir)
        if 'save_best' in saving:  # its number depends on how often this process validated
            found['files'] = [name for name in found['files'] if 'best' not in name]
            found['files'] += [name for name in wanted['files'] if 'best' in name]
            found['files'].sort()
        places = list(differences(wanted, found))
        assert not places, f'{layout}: killed before operation {counts["killed"]}: {places[:5]}'
        counts['equal'] += 1


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--layout', choices=LAYOUTS, action='append', help='one way; default all')
    layouts = parser.parse_args(argv).layout or LAYOUTS
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        counts = {name: run(name, Path(folder, str(i))) for i, name in enumerate(layouts)}
    print(json.dumps(counts))
    return 0


if __name__ == '__main__':
    sys.exit(main())
