"""Trainings killed again and again end as if they had not been: counted, and compared to the bit.

    python -m tests.soak.kills --minutes 5 --seed 1               random trainings, random kills
    python -m tests.soak.kills --case simmim-epoch-2 --kills 9    one of them

Every training is a process forked from this one, which has imported the stack: a second each.
Killed is the trainer, one of its data workers, or all of them at once.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import runner as mmengine_runner

from mim_backbones.training.launch import build_runner
from tests.pretrain.small import METHODS, VQVIT, recipe, write_blobs

EPOCHS, BATCHES, ACCUMULATED = 3, 7, 2
# (train_cfg, interval and by_epoch of checkpoints): an epoch of 7 batches ends in the middle of an
# accumulated pair, a checkpoint every 3 falls in mid-epoch.
LOOPS: dict[str, tuple[dict[str, Any], int, bool]] = {
    'mid': ({'by_epoch': True, 'max_epochs': EPOCHS}, 3, False),
    'epoch': ({'by_epoch': True, 'max_epochs': EPOCHS}, 1, True),
    'iter': ({'by_epoch': False, 'max_iters': EPOCHS * BATCHES}, 3, False),
}
PRETRAINED = {'simmim': 'SimMIM', 'beitv2': 'BEiTv2', 'vqkd': 'VQKD'}
TASKS = ('detection', 'segmentation', 'tracking')
SMALL_VIT = {
    'type': 'mim_backbones.MIMViT', 'arch': {'embed_dim': 48, 'depth': 4, 'num_heads': 3},
    'img_size': 64, 'patch_size': 8, 'pos_embed': 'sincos', 'mask_token': True,
}  # fmt: skip
CASES = [
    *('-'.join(words) for words in product(PRETRAINED, LOOPS, '012')),
    *('-'.join(words) for words in product(TASKS, ['iter'], '012')),
]
FAREWELL = 3.0  # seconds in which orphans must be gone


class Laboratory:
    """Makes the configs of cases on small data below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = write_blobs(folder / 'images', 10)

    def config(self, case: str, work_dir: Path) -> Config:
        kind, loop, workers = case.split('-')
        make = self._task if kind in TASKS else self._pretraining
        cfg = make(kind, loop, work_dir)
        cfg.train_dataloader.num_workers = int(workers)
        cfg.train_dataloader.persistent_workers = int(workers) > 0
        cfg.resume, cfg.launcher, cfg.log_level = True, 'none', 'INFO'
        return cfg

    def _pretraining(self, kind: str, loop: str, work_dir: Path) -> Config:
        model = METHODS[PRETRAINED[kind]]
        backbone = {**(VQVIT if kind == 'vqkd' else model['backbone']), 'drop_path_rate': 0.2}
        cfg = recipe({**model, 'backbone': backbone}, self.images, work_dir)
        cfg.train_cfg, interval, by_epoch = LOOPS[loop]
        cfg.train_dataloader.sampler.samples_per_epoch = 2 * BATCHES
        cfg.optim_wrapper.accumulative_counts = ACCUMULATED
        cfg.default_hooks = {
            'checkpoint': {'type': 'CheckpointHook', 'interval': interval, 'by_epoch': by_epoch,
                           'max_keep_ckpts': 1},
            'sampler_seed': {'type': 'DistSamplerSeedHook'},
            'logger': {'type': 'LoggerHook', 'interval': 100},
        }  # fmt: skip
        cfg.param_scheduler = [
            {'type': 'mim_backbones.WarmupCosineLR', 'warmup': 4, 'end': EPOCHS * BATCHES,
             'by_epoch': False}
        ]  # fmt: skip
        if kind == 'vqkd':
            cfg.custom_hooks.append({'type': 'CodebookHealthHook', 'interval': 5})
        return cfg

    def _task(self, kind: str, loop: str, work_dir: Path) -> Config:
        from downstream.evaluation.contestants import open_contestants
        from downstream.evaluation.plan import Request, plan_jobs
        from downstream.synthetic.build import build_world
        from downstream.synthetic.sizes import SIZES
        from mim_backbones.data_spec import load_data_spec

        world, arch = self.folder / 'world', self.folder / 'arch.py'
        if not world.exists():
            build_world(world, SIZES['tiny'])
            arch.write_text(f'model = dict(backbone={SMALL_VIT})')
        options = {
            'train_cfg.max_iters': 6, 'train_dataloader.batch_size': 2,
            'default_hooks.checkpoint.interval': 1, 'default_hooks.checkpoint.max_keep_ckpts': 1,
        }  # fmt: skip
        request = Request((), world, work_dir.parent, (kind,), options=options, threads=1)
        (planned,) = plan_jobs(
            request, open_contestants(['random'], str(arch)), load_data_spec(world)
        )
        planned.config.work_dir = str(work_dir)
        return planned.config


def start(cfg: Config) -> int:
    """Trains in a process of its own, the first of its group; its id."""
    folder = Path(cfg.work_dir)
    folder.mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        with (folder / 'log.txt').open('ab') as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        mmengine_runner.collect_env = dict  # asks compilers, for seconds
        build_runner(cfg).train()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int, seconds: float) -> int | None:
    """Its exit code, minus the signal that ended it; None when it still runs after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)


def ended_or_moved(pid: int, work_dir: Path, rng: random.Random) -> int | None:
    """As `ended`, waiting for a moment somewhere around a checkpoint; one in five comes early."""
    note = work_dir / 'last_checkpoint'
    before = note.read_text() if note.exists() else ''
    deadline = time.monotonic() + (rng.uniform(0.2, 3) if rng.random() < 0.2 else 120)
    while time.monotonic() < deadline and (note.read_text() if note.exists() else '') == before:
        code = ended(pid, 0)
        if code is not None:
            return code
    return ended(pid, rng.expovariate(10))  # a tenth of a second


def group(pid: int) -> Iterator[int]:
    """Processes of a group that are alive, but its first."""
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            own, _, rest = stat.read_text().rpartition(')')
        except OSError:
            continue
        state, _, number = rest.split()[:3]
        process = int(own.partition(' ')[0])
        if int(number) == pid and state not in 'ZX' and process != pid:
            yield process


def kill(pid: int, whom: str) -> str:
    """Kill the trainer, a worker or all; what was really there to be killed."""
    workers = list(group(pid))
    if whom == 'worker' and workers:
        os.kill(random.choice(workers), signal.SIGKILL)
    elif whom == 'all':
        os.killpg(pid, signal.SIGKILL)
    else:
        whom = 'trainer'
        os.kill(pid, signal.SIGKILL)
    return whom


def orphans(pid: int) -> int:
    """Workers that outlive their trainer; ended here."""
    deadline = time.monotonic() + FAREWELL
    while (left := list(group(pid))) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in left:
        os.kill(process, signal.SIGKILL)
    return len(left)


def final(work_dir: Path) -> dict[str, Any]:
    """Weights, optimizer, position and losses of each step of a finished training."""
    path = Path((work_dir / 'last_checkpoint').read_text())
    content = torch.load(path, weights_only=False)
    logged = content['message_hub']['log_scalars']
    return {
        'state_dict': content['state_dict'],
        'optimizer': content['optimizer'],
        'schedulers': content.get('param_schedulers'),
        'place': [content['meta'][key] for key in ('epoch', 'iter')],
        'losses': {name: buffer.data[0].tolist() for name, buffer in logged.items()
                   if 'loss' in name},
        'files': sorted(p.name for p in work_dir.iterdir() if p.suffix in ('.pth', '.part')),
    }  # fmt: skip


def differences(one: Any, two: Any, where: str = '') -> Iterator[str]:
    """Dotted places where nested results are not equal to the last bit."""
    if isinstance(one, torch.Tensor):
        if not (isinstance(two, torch.Tensor) and torch.equal(one, two)):
            yield where
    elif isinstance(one, dict):
        for key in {*one, *two}:
            if key in one and key in two:
                yield from differences(one[key], two[key], f'{where}.{key}')
            else:
                yield f'{where}.{key} (missing)'
    elif isinstance(one, list | tuple):
        if len(one) != len(two):
            yield f'{where} ({len(one)} and {len(two)} long)'
        for index, (a, b) in enumerate(zip(one, two)):
            yield from differences(a, b, f'{where}.{index}')
    elif one != two:
        yield f'{where} ({one} and {two})'


def run_case(
    laboratory: Laboratory, case: str, folder: Path, kills: int, rng: random.Random
) -> Counter:
    """An undisturbed training and one that is killed `kills` times; what happened, counted."""
    counts: Counter = Counter(runs=1)
    whole = laboratory.config(case, folder / 'whole')
    assert ended(start(whole), 300) == 0, (folder / 'whole/log.txt').read_text()[-3000:]
    killed = laboratory.config(case, folder / 'killed')
    for turn in range(kills + 1):
        pid = start(killed)
        code = ended_or_moved(pid, folder / 'killed', rng) if turn < kills else ended(pid, 300)
        if code is None:
            counts[f'killed {kill(pid, rng.choice(["trainer", "worker", "all"]))}'] += 1
            code = ended(pid, 60)
            counts['orphans'] += orphans(pid)
            if code is None:
                counts['stuck'] += 1
                os.killpg(pid, signal.SIGKILL)
                ended(pid, 60)
        elif code == 0:
            break
        else:
            counts['failed'] += 1
            print((folder / 'killed/log.txt').read_text()[-3000:], file=sys.stderr)
            return counts
    found = list(differences(final(folder / 'whole'), final(folder / 'killed')))
    counts['equal' if not found else 'different'] += 1
    for place in found[:5]:
        print(f'{case}: {place}', file=sys.stderr)
    return counts


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--case', choices=CASES, action='append')
    parser.add_argument('--kills', type=int, default=4, help='of each training')
    parser.add_argument('--minutes', type=float, default=0.0, help='go on with random cases')
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    rng = random.Random(arguments.seed)
    counts: Counter = Counter()
    deadline = time.monotonic() + 60 * arguments.minutes
    cases = arguments.case or rng.sample(CASES, len(CASES))
    with tempfile.TemporaryDirectory() as folder:
        laboratory = Laboratory(Path(folder))
        turn = 0
        while turn < len(cases) if arguments.case else time.monotonic() < deadline:
            case = cases[turn % len(cases)]
            found = run_case(laboratory, case, Path(folder, str(turn)), arguments.kills, rng)
            print(case, dict(found), file=sys.stderr, flush=True)
            counts.update(found)
            turn += 1
    print(json.dumps(counts, sort_keys=True))
    return int(any(counts[word] for word in ('different', 'orphans', 'failed', 'stuck')))


if __name__ == '__main__':
    sys.exit(main())
