"""A batch in parts is the batch: the same samples, gradients, steps and logs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper

from mim_backbones.errors import UserError
from mim_backbones.training.steps.micro_batches import size_of, together, train_in_parts
from tests.mim_backbones.training.line import line_runner, trained

ROOT = Path(__file__).parents[4]
# 20 samples in steps of 8: the last of an epoch has 4.
PUBLISHED: dict[str, Any] = {
    'auto_scale_lr': {'enable': False, 'base_batch_size': 8},
    'train_cfg': {'by_epoch': True, 'max_epochs': 2},
    'train_dataloader': {
        'batch_size': 8, 'num_workers': 0, 'collate_fn': {'type': 'default_collate'},
        'dataset': {'type': 'SoakNumbers', 'length': 20},
        'sampler': {'type': 'DefaultSampler', 'shuffle': True},
    },
    'param_scheduler': [{'type': 'LinearLR', 'start_factor': 0.1, 'by_epoch': True, 'begin': 0,
                         'end': 2, 'convert_to_iter_based': True}],
}  # fmt: skip
BY_ITERATIONS = {
    'train_cfg': {'by_epoch': False, 'max_iters': 7},
    'param_scheduler': [{'type': 'LinearLR', 'start_factor': 0.1, 'by_epoch': False, 'end': 7}],
}


class Seen(Hook):
    """What hooks are told of each step."""

    def __init__(self) -> None:
        self.samples: list[list[float]] = []
        self.rates: list[float] = []
        self.losses: list[float] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.samples.append(data_batch['inputs'].flatten().tolist())
        self.rates.append(runner.optim_wrapper.get_lr()['lr'][0])

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.losses.append(float(outputs['loss'].detach()))


def run(work_dir: Path, at_once: int, **changes: Any) -> tuple[Any, Seen]:
    changes = {**PUBLISHED, **changes}
    loader = {**changes['train_dataloader'], 'batch_size': at_once}
    runner = line_runner(work_dir, **{**changes, 'train_dataloader': loader})
    seen = Seen()
    runner.register_hook(seen)
    runner.train()
    return runner, seen


LOADERS = {
    'by epochs': {},
    'by epochs, the rest dropped': {
        'train_dataloader': {**PUBLISHED['train_dataloader'], 'drop_last': True}},
    'by iterations': BY_ITERATIONS,
    'by iterations, endless': {**BY_ITERATIONS, 'train_dataloader': {
        **PUBLISHED['train_dataloader'], 'sampler': {'type': 'InfiniteSampler'}}},
    'accumulated besides': {'optim_wrapper': {
        'optimizer': {'type': 'Adam', 'lr': 0.01}, 'accumulative_counts': 2},
        'auto_scale_lr': {'base_batch_size': 16}},
}  # fmt: skip


@pytest.mark.parametrize('kind', LOADERS)
def test_parts_of_two_and_one_are_the_training_of_eight(tmp_path, kind: str) -> None:
    whole, seen = run(tmp_path / 'whole', 8, **LOADERS[kind])
    for at_once in (2, 1):
        parts, told = run(tmp_path / str(at_once), at_once, **LOADERS[kind])
        assert parts.step_batch.parts == 8 // at_once
        assert (parts.iter, parts.max_iters) == (whole.iter, whole.max_iters)
        assert told.samples == seen.samples
        assert told.rates == seen.rates
        assert told.losses == pytest.approx(seen.losses, rel=1e-5)
        for name, value in whole.model.state_dict().items():
            assert torch.allclose(value, parts.model.state_dict()[name], atol=1e-6, rtol=0), name


@pytest.mark.parametrize('at_once', [4, 2])
def test_two_processes_are_one(tmp_path, at_once: int) -> None:
    """1 process x 8 = 2 processes x 4 = 2 processes x 2 micro-batches of 2."""
    whole, _ = run(tmp_path / 'whole', 8)
    words = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2',
             str(ROOT / 'tests/mim_backbones/training/steps/two_processes.py'), str(at_once),
             str(tmp_path)]  # fmt: skip
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    result = subprocess.run([sys.executable, *words], env=environment, capture_output=True,
                            text=True)  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    found = torch.load(tmp_path / 'weights.pth')
    for name, value in whole.model.state_dict().items():
        assert torch.allclose(value, found[name], atol=1e-6, rtol=0), name


class Net(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(6, 16), torch.nn.GELU(), torch.nn.Linear(16, 3)
        )

    def forward(self, inputs: torch.Tensor, mode: str = 'tensor') -> dict[str, torch.Tensor]:
        return {'loss': self.layers(inputs).square().mean(), 'acc': inputs.mean() * 1}


class Kept(OptimWrapper):
    """Steps without forgetting the gradients."""

    def zero_grad(self, **kwargs: Any) -> None:
        pass


@pytest.mark.parametrize('sizes', [(8,), (2, 2, 2, 2), (4, 4), (3, 3, 2), (1,) * 8])
def test_gradients_are_those_of_the_whole_batch(sizes) -> None:
    torch.manual_seed(0)
    model, data = Net(), torch.randn(8, 6)
    model(data)['loss'].backward()
    wanted = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    wrapper = Kept(torch.optim.SGD(model.parameters(), lr=0.0))
    found = train_in_parts(model, [{'inputs': part} for part in data.split(sizes)], wrapper)
    for parameter, gradient in zip(model.parameters(), wanted, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-6, rtol=0)
    assert wrapper.inner_count == 1
    assert found['acc'] == pytest.approx(float(data.mean()), abs=1e-6)
    assert not found['loss'].requires_grad


@pytest.mark.parametrize(('batches', 'size', 'whole'), [
    ([{'inputs': [1, 2], 'data_samples': ['a', 'b']}, {'inputs': [3], 'data_samples': ['c']}], 2,
     {'inputs': [1, 2, 3], 'data_samples': ['a', 'b', 'c']}),
    ([[[1, 2], ['a', 'b']], [[3], ['c']]], 2, [[1, 2, 3], ['a', 'b', 'c']]),
    ([{'inputs': {'sup': [1], 'unsup': [2]}}, {'inputs': {'sup': [3], 'unsup': [4]}}], 1,
     {'inputs': {'sup': [1, 3], 'unsup': [2, 4]}}),
])  # fmt: skip
def test_collated_batches_of_any_kind(batches, size, whole) -> None:
    assert size_of(batches[0]) == size
    assert together(batches) == whole


def test_tensors_are_joined_where_they_fit() -> None:
    one, two, large = torch.zeros(2, 3), torch.ones(1, 3), torch.ones(1, 4)
    assert together([{'inputs': one}, {'inputs': two}])['inputs'].shape == (3, 3)
    assert together([{'inputs': one}, {'inputs': large}])['inputs'] == [one, large]


def test_a_loop_of_another_kind_is_refused(tmp_path) -> None:
    from mmengine.registry import LOOPS
    from mmengine.runner import EpochBasedTrainLoop

    LOOPS.register_module(name='OwnLoop', module=type('OwnLoop', (EpochBasedTrainLoop,), {}),
                          force=True)  # fmt: skip
    changes = {**PUBLISHED, 'train_cfg': {'type': 'OwnLoop', 'max_epochs': 1}}
    changes['train_dataloader'] = {**PUBLISHED['train_dataloader'], 'batch_size': 2}
    runner = line_runner(tmp_path, **changes)
    with pytest.raises(UserError, match='OwnLoop takes no micro-batches'):
        runner.train()


@pytest.mark.parametrize('kind', ['by epochs', 'by iterations', 'by iterations, endless'])
@pytest.mark.parametrize('workers', [0, 2])
def test_a_run_in_parts_resumes_at_any_step(tmp_path, kind: str, workers: int) -> None:
    changes = {**PUBLISHED, **LOADERS[kind]}
    changes['train_dataloader'] = {
        **changes['train_dataloader'],
        'batch_size': 2,
        'num_workers': workers,
    }
    changes['default_hooks'] = {'logger': None, 'checkpoint': {
        'type': 'CheckpointHook', 'by_epoch': False, 'interval': 1}}  # fmt: skip
    whole = trained(tmp_path / 'whole', **changes).model.state_dict()
    steps = 7 if 'iterations' in kind else 6
    for number in range(1, steps, 2 if workers else 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / f'iter_{number}.pth').write_bytes(
            (tmp_path / 'whole' / f'iter_{number}.pth').read_bytes()
        )
        runner = trained(folder, resume=True, **changes)
        assert runner.iter == steps
        for name, value in runner.model.state_dict().items():
            assert torch.equal(value, whole[name]), (number, name)


def test_nothing_of_the_past_is_loaded_again(tmp_path, monkeypatch) -> None:
    from tests.mim_backbones.training import line

    loaded: list[int] = []
    plain = line.SoakNumbers.__getitem__
    monkeypatch.setattr(
        line.SoakNumbers, '__getitem__', lambda self, i: loaded.append(int(i)) or plain(self, i)
    )
    grouped = {**PUBLISHED['train_dataloader'], 'batch_sampler': {'type': 'SoakGroups'}}
    for place, loader in enumerate((PUBLISHED['train_dataloader'], grouped)):
        for kind in ('by epochs', 'by iterations'):
            changes = {**PUBLISHED, **LOADERS[kind], 'train_dataloader': loader}
            changes['default_hooks'] = {'logger': None, 'checkpoint': {
                'type': 'CheckpointHook', 'by_epoch': False, 'interval': 2}}  # fmt: skip
            folder = tmp_path / f'{place}{kind}'
            loaded.clear()
            trained(folder, **changes)
            whole = list(loaded)
            for path in folder.glob('iter_*.pth'):
                if path.stem != 'iter_2':
                    path.unlink()
            loaded.clear()
            trained(folder, resume=True, **changes)
            assert loaded == whole[-len(loaded) :]
            assert len(whole) - len(loaded) == 16, kind
