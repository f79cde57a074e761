"""One way to train, by three doors: tools/train.py, `mimbench train`, torchrun of either."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from mim_backbones.commands.train import train as command
from mim_backbones.console.recipes import find_recipe
from mim_backbones.errors import UserError
from mim_backbones.training import train as training

ROOT = Path(__file__).parents[3]
MODULE = """
import torch
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS

@MODELS.register_module()
class AcmeLine(BaseModel):
    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, mode='tensor'):
        return {'loss': ((self.slope * inputs - 2 * inputs) ** 2).mean()}

@DATASETS.register_module()
class AcmeNumbers(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, i):
        return {'inputs': torch.tensor([float(i)])}
"""
RECIPE = """
custom_imports = dict(imports=['acme_line'])
model = dict(type='AcmeLine')
train_dataloader = dict(
    batch_size=2, num_workers=0, collate_fn=dict(type='default_collate'),
    dataset=dict(type='AcmeNumbers'),
    sampler=dict(type='DefaultSampler', shuffle=False))
train_cfg = dict(by_epoch=True, max_epochs=2)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
"""
CLI = ['-m', 'mim_backbones.console.cli', 'train']


@pytest.fixture
def site(tmp_path) -> Path:
    (tmp_path / 'acme_line.py').write_text(MODULE)
    (tmp_path / 'line.py').write_text(RECIPE)
    return tmp_path


def slope(site: Path, name: str, *launch: str, arguments=()) -> float:
    result = subprocess.run(
        [sys.executable, *launch, 'line.py', '--work-dir', name, *arguments],
        capture_output=True, text=True, cwd=site,
        env={**os.environ, 'PYTHONPATH': f'{site}{os.pathsep}{ROOT}', 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    last = Path((site / name / 'last_checkpoint').read_text())
    return float(torch.load(site / last, weights_only=False)['state_dict']['slope'])


@pytest.mark.slow
def test_all_doors_lead_to_the_same_training(site) -> None:
    tool = slope(site, 'tool', str(ROOT / 'tools' / 'train.py'))
    assert 0 < tool < 3
    assert slope(site, 'command', *CLI) == tool
    torchrun = ['-m', 'torch.distributed.run', '--nproc_per_node', '2', '--standalone',
                '--local_addr', '127.0.0.1']  # fmt: skip
    two = slope(site, 'two', *torchrun, *CLI, arguments=['--launcher', 'pytorch'])
    both = slope(
        site, 'both', *torchrun, str(ROOT / 'tools' / 'train.py'),
        arguments=['--launcher', 'pytorch'],
    )  # fmt: skip
    assert two == both != tool  # half as many steps, of twice the batch


@pytest.mark.slow
def test_resumes_and_takes_overrides(site) -> None:
    slope(site, 'run', *CLI, arguments=['--cfg-options', 'train_cfg.max_epochs=1'])
    words = ['--resume', '--cfg-options', 'train_cfg.max_epochs=2']
    assert slope(site, 'run', *CLI, arguments=words) == slope(site, 'whole', *CLI)


def test_the_command_hands_its_words_on(monkeypatch) -> None:
    given = {}
    monkeypatch.setattr(training, 'train', lambda config, **words: given.update(words, c=config))
    words = ['simmim', '--resume', '--cfg-options', 'a.b=1', '--cfg-options', 'c=d']
    result = CliRunner().invoke(command, [*words, '--data', 'world', '--work-dir', 'w'])
    assert result.exit_code == 0, result.output
    assert given == {
        'c': 'simmim', 'work_dir': 'w', 'data': 'world', 'resume': True, 'launcher': 'none',
        'amp': False, 'compile': False, 'auto_scale_lr': False,
        'options': {'a.b': 1, 'c': 'd'},
    }  # fmt: skip


def test_openmmlabs_words_are_read_as_there(monkeypatch) -> None:
    monkeypatch.setattr(sys, 'argv', [
        'train.py', 'x.py', '--cfg-options', 'a.b=1', 'c=x,y', 'd=[1,2]', '--launcher', 'pytorch',
        '--local-rank', '3',
    ])  # fmt: skip
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    arguments = training.parsed(training.openmmlab_parser('Train.'))
    assert arguments == {
        'config': 'x.py', 'work_dir': None, 'launcher': 'pytorch',
        'options': {'a.b': 1, 'c': ['x', 'y'], 'd': [1, 2]},
    }  # fmt: skip
    assert os.environ['LOCAL_RANK'] == '3'


@pytest.mark.parametrize('word', ['simmim', 'pretrain/simmim', 'pretrain/simmim.py'])
def test_a_recipe_that_came_along_and_an_unreadable_one(word: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe(word).is_file()
    for call in (training.train, lambda name: training.evaluate(name, 'none.pth')):
        with pytest.raises(UserError, match='does not exist'):
            call('nothing_of_ours')
