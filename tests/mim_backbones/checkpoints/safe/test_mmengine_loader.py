"""Every way a file gets into a training: nothing that is in it runs."""

import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModule
from mmengine.optim import scheduler as schedulers
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import CheckpointLoader, Runner, load_checkpoint
from mmengine.runner import checkpoint as mmengine_checkpoint
from torch import nn

from mim_backbones import MIMViT, from_checkpoint
from mim_backbones.checkpoints.safe.mmengine_loader import safe_load, torch_loads_safely
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.errors import UserError
from mim_backbones.training import train as training
from tests.mim_backbones.checkpoints.safe.hostile import FORMS, write_hostile
from tests.mim_backbones.training.line import line_config, line_runner, trained

TINY = {'embed_dim': 8, 'depth': 1, 'num_heads': 1}


class Stock(BaseModule):
    """Any module of the stack that says init_cfg."""

    def __init__(self, init_cfg: dict) -> None:
        super().__init__(init_cfg)
        self.layer = nn.Linear(1, 1)


def stock(file: Path, **words: object) -> None:
    Stock({'type': 'Pretrained', 'checkpoint': str(file), **words}).init_weights()


def resnet(scope: str, file: Path, **words: object) -> None:
    with DefaultScope.overwrite_default_scope(scope):
        MODELS.build({'type': f'{scope}.ResNet', 'depth': 18, **words}).init_weights()


def config_file(file: Path, **changes: object) -> str:
    path = file.parent / 'line.py'
    work_dir = file.parent / 'run'
    line_config(work_dir, **changes).dump(path)
    return str(path)


def resumed(file: Path, **changes: object) -> None:
    work_dir = file.parent / 'run'
    work_dir.mkdir()
    shutil.copy(file, work_dir / 'epoch_1.pth')
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_1.pth'))
    training.train(config_file(file, **changes), resume=True)


def plain_runner(file: Path) -> Runner:
    cfg = line_config(file.parent / 'run')
    cfg.experiment_name = f'plain {file}'
    return Runner.from_cfg(cfg)


TEST = {
    'test_dataloader': {'batch_size': 1, 'dataset': {'type': 'SoakNumbers'},
                        'sampler': {'type': 'DefaultSampler'}},
    'test_cfg': {'type': 'TestLoop'},
    'test_evaluator': {'type': 'DumpResults', 'out_file_path': 'x.pkl'},
}  # fmt: skip
# name: what opens the file; each as a user comes to it.
DOORS = {
    'from_checkpoint': lambda file: from_checkpoint(str(file)),
    'our init_cfg': lambda file: MIMViT(
        TINY, img_size=16, patch_size=8, init_cfg={'type': 'Pretrained', 'checkpoint': str(file)}
    ).init_weights(),
    'CheckpointLoader': lambda file: CheckpointLoader.load_checkpoint(str(file)),
    'load_checkpoint': lambda file: load_checkpoint(nn.Linear(1, 1), str(file)),
    'its private twin': lambda file: mmengine_checkpoint._load_checkpoint(str(file)),
    'its prefix': lambda file: mmengine_checkpoint._load_checkpoint_with_prefix('a', str(file)),
    'init_cfg': stock,
    'init_cfg with a prefix': lambda file: stock(file, prefix='backbone'),
    'mmdet init_cfg': lambda file: resnet(
        'mmdet', file, init_cfg={'type': 'Pretrained', 'checkpoint': str(file)}
    ),
    'mmdet pretrained': lambda file: resnet('mmdet', file, pretrained=str(file)),
    'mmseg pretrained': lambda file: resnet('mmseg', file, pretrained=str(file)),
    'Runner.load_checkpoint': lambda file: line_runner(file.parent).load_checkpoint(str(file)),
    "mmengine's Runner": lambda file: plain_runner(file).load_checkpoint(str(file)),
    "mmengine's Runner.resume": lambda file: plain_runner(file).resume(str(file)),
    'train load_from': lambda file: training.train(
        config_file(file), options={'load_from': str(file)}
    ),
    'train init_cfg of the model': lambda file: training.train(
        config_file(file),
        options={'model.init_cfg': {'type': 'Pretrained', 'checkpoint': str(file)}},
    ),
    'train --resume': resumed,
    'train --resume PATH': lambda file: training.train(
        config_file(file, load_from=str(file)), resume=True
    ),
    'test': lambda file: training.evaluate(config_file(file, **TEST), str(file)),
}  # fmt: skip


@pytest.mark.parametrize('form', ['zip', 'old', 'protocol 0', 'protocol 5'])
@pytest.mark.parametrize('door', DOORS)
def test_nothing_runs_by_any_door(tmp_path, door: str, form: str) -> None:
    made = tmp_path / 'made-by-the-pickle'
    file = write_hostile(tmp_path / 'evil.pth', form, made)
    with pytest.raises(UserError) as caught:
        DOORS[door](file)
    assert not made.exists()
    assert '\n' not in str(caught.value)
    torch.load(file, weights_only=False)
    assert made.exists()  # so the pickle was a working one


@pytest.mark.parametrize('form', FORMS)
def test_no_protocol_runs(tmp_path, form: str) -> None:
    made = tmp_path / 'made-by-the-pickle'
    file = write_hostile(tmp_path / 'evil.pth', form, made)
    with pytest.raises(CheckpointError, match=r'asks to run posix\.mkdir'):
        load_checkpoint(nn.Linear(1, 1), str(file))
    assert not made.exists()


def pretend(scheme: str, file: Path, monkeypatch) -> str:
    """An address of a scheme whose file, had it been fetched, is `file`."""
    hub = file.parent / 'hub' / 'checkpoints'
    hub.mkdir(parents=True)
    shutil.copy(file, hub / 'evil.pth')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(hub.parent))
    address = 'https://example.invalid/evil.pth'
    for name in ('get_torchvision_models', 'get_external_models', 'get_mmcls_models'):
        monkeypatch.setattr(mmengine_checkpoint, name, lambda: {'evil': address})
    pavi = ModuleType('pavi')
    pavi.modelcloud = SimpleNamespace(get=lambda path: SimpleNamespace(
        name='evil.pth', download=lambda to: shutil.copy(file, to)))  # fmt: skip
    monkeypatch.setitem(sys.modules, 'pavi', pavi)
    backend = SimpleNamespace(get=lambda path: file.read_bytes())
    monkeypatch.setattr(mmengine_checkpoint, 'get_file_backend', lambda *_, **__: backend)
    addresses = {'': str(file), 'http': address, 'pavi://': 'pavi://evil', '(\\S+': 's3://a/evil'}
    return next((a for start, a in addresses.items() if start and scheme.startswith(start)),
                f'{scheme}evil' if scheme else str(file))  # fmt: skip


@pytest.mark.parametrize('scheme', list(CheckpointLoader._schemes))
def test_nothing_runs_by_any_scheme(tmp_path, scheme: str, monkeypatch) -> None:
    made = tmp_path / 'made-by-the-pickle'
    file = write_hostile(tmp_path / 'evil.pth', 'zip', made)
    address = pretend(scheme, file, monkeypatch)
    with pytest.raises(CheckpointError, match=r'asks to run posix\.mkdir'):
        CheckpointLoader.load_checkpoint(address)
    assert not made.exists()


def test_a_loader_of_someone_else_is_led_there_too(tmp_path, monkeypatch) -> None:
    made = tmp_path / 'made-by-the-pickle'
    file = write_hostile(tmp_path / 'evil.pth', 'zip', made)
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    CheckpointLoader.register_scheme(
        'acme://', lambda name, map_location: torch.load(file, weights_only=False), force=True
    )
    with pytest.raises(CheckpointError, match=r'posix\.mkdir'):
        CheckpointLoader.load_checkpoint('acme://x')
    assert not made.exists()


def test_a_config_in_a_checkpoint_is_not_run(tmp_path) -> None:
    """mmengine runs `meta.config`, as mmcv 1 stored it, to count the GPUs of a resumed run."""
    trained(tmp_path / 'run', train_cfg={'by_epoch': True, 'max_epochs': 1})
    file = tmp_path / 'run' / 'epoch_1.pth'
    content = torch.load(file, weights_only=False)
    made = tmp_path / 'made-by-the-config'
    content['meta']['config'] = f'import os\nos.mkdir({str(made)!r})\ngpu_ids = [0]\n'
    torch.save(content, file)
    for runner in (line_runner(tmp_path / 'a'), plain_runner(tmp_path / 'b')):
        runner._train_loop = runner.build_train_loop(runner._train_loop)
        runner.resume(str(file))
        assert runner.epoch == 1
    assert not made.exists()


def test_what_a_resumed_run_needs_comes_back_whole(tmp_path) -> None:
    content = {
        'state_dict': {'w': torch.ones(2)},
        'message_hub': {
            'log_scalars': {'train/loss': HistoryBuffer([1.0, 3.0], [1, 2])},
            'runtime_info': {'best_score': np.float32(0.5), 'keep_ckpt_ids': [1, 2]},
            'resumed_keys': {'train/loss': True},
        },
        'optimizer': {'state': {0: {'step': torch.tensor(3.0)}},
                      'param_groups': [{'lr': np.float64(0.1), 'betas': (0.9, 0.99)}]},
        'meta': {'dataset_meta': {'classes': ('a', 'b'), 'palette': [(0, 1, 2)]}, 'seed': 0},
    }  # fmt: skip
    torch.save(content, tmp_path / 'a.pth')
    found = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'), 'cpu')
    log = found['message_hub']['log_scalars']['train/loss']
    assert isinstance(log, HistoryBuffer)
    assert log.data[0].tolist() == [1.0, 3.0]
    assert log.mean() == pytest.approx(4 / 3)
    log.update(4.0)
    assert log.current() == 4.0
    assert found['message_hub']['runtime_info'] == content['message_hub']['runtime_info']
    assert found['optimizer'] == content['optimizer']
    assert found['meta'] == content['meta']
    content['message_hub']['log_scalars']['train/loss'].__dict__['_count_history'] = 'x'
    torch.save(content, tmp_path / 'b.pth')
    with pytest.raises(CheckpointError, match=r"its log of 'train/loss' is damaged"):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'b.pth'))


SCHEDULERS = [
    name for name in vars(schedulers) if name.endswith(('LR', 'Momentum')) and name[0] != '_'
]
WORDS = {
    'MultiStep': {'milestones': [1, 1, 3]}, 'Step': {'step_size': 2}, 'Exponential': {'gamma': 0.5},
    'CosineAnnealing': {'T_max': 5}, 'OneCycle': {'total_steps': 9, 'eta_max': 1.0},
    'CosineRestart': {'periods': [4, 5], 'restart_weights': [1, 0.5], 'eta_min': 0.0},
    'ReduceOnPlateau': {'monitor': 'loss'},
}  # fmt: skip


@pytest.mark.parametrize('name', SCHEDULERS)
def test_the_state_of_every_scheduler_can_be_read(tmp_path, name: str) -> None:
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=1.0, momentum=0.9)
    words = WORDS.get(name.removesuffix('LR').removesuffix('Momentum'), {})
    one = getattr(schedulers, name)(optimizer, **words)
    state = one.state_dict()
    torch.save({'state_dict': {}, 'param_schedulers': [state]}, tmp_path / 'a.pth')
    (read,) = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))['param_schedulers']
    one.load_state_dict(read)
    assert one.state_dict() == state


def test_a_missing_file_is_one_line() -> None:
    with pytest.raises(CheckpointError, match='does not exist'):
        CheckpointLoader.load_checkpoint('/no/such/file.pth')


def test_only_while_it_reads_torch_load_is_the_safe_one(tmp_path) -> None:
    before = torch.load
    with torch_loads_safely():
        assert torch.load is safe_load
    assert torch.load is before


def test_tensors_go_where_they_are_asked_to(tmp_path) -> None:
    torch.save({'state_dict': {'w': torch.ones(2)}}, tmp_path / 'a.pth')
    found = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'), 'meta')
    assert found['state_dict']['w'].device.type == 'meta'
