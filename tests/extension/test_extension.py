"""A package from outside: installed, trained with, evaluated, reported, and shown by docs/."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PACKAGE = HERE / 'package'
ROOT = HERE.parents[1]
SHORT = ('train_dataloader.sampler.samples_per_epoch=96', 'train_cfg.max_epochs=1')


def test_the_page_shows_the_package_as_it_is() -> None:
    page = (ROOT / 'docs/extending.md').read_text()
    shown = dict(re.findall(r'^`([\w./]+)`\n\n```\w+\n(.*?)\n```$', page, re.M | re.S))
    files = {
        str(path.relative_to(PACKAGE)): path.read_text().rstrip('\n')
        for path in (PACKAGE / 'pyproject.toml', *PACKAGE.rglob('*.py'))
        if path.name != '__init__.py'
    }
    assert shown == files


@pytest.fixture(scope='module')
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package installed into a folder of its own, as pip does it."""
    site = tmp_path_factory.mktemp('site')
    source = tmp_path_factory.mktemp('source') / 'package'
    subprocess.run(['cp', '-r', str(PACKAGE), str(source)], check=True)
    command = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-index']
    command += ['--no-build-isolation', '--target', str(site), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return site


def mimbench(site: Path, *words: object, fails: bool = False) -> str:
    environment = {**os.environ, 'PYTHONPATH': f'{site}{os.pathsep}{ROOT}', 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, '-m', 'mim_backbones.console.cli', *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stderr[-3000:]
    return done.stdout if not fails else done.stderr


@pytest.fixture(scope='module')
def world(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp('world') / 'tiny'
    mimbench(site, 'synth', out, '--size', 'tiny')
    with (out / 'data.yaml').open('a') as file:
        file.write('brightness:\n  root: imagenet\n')
    return out


def test_commands_and_protocols_are_listed(site: Path, world: Path) -> None:
    assert 'brightness' in mimbench(site, '--help')
    names = [one['name'] for one in json.loads(mimbench(site, 'protocols', '--json'))]
    assert 'brightness-smoke' in names
    picture = next((world / 'imagenet').rglob('*.JPEG'))
    assert 0 < float(mimbench(site, 'brightness', picture)) < 1
    assert 'is not there' in mimbench(site, 'brightness', 'nothing.jpg', fails=True)


@pytest.mark.slow
def test_train_eval_report(site: Path, world: Path, tmp_path: Path) -> None:
    recipe = site / 'mimbench_grey/recipes/greymim.py'
    options = [word for pair in SHORT for word in ('--cfg-options', pair)]
    mimbench(site, 'train', recipe, '--data', world, '--work-dir', tmp_path / 'run', *options)
    checkpoint = (tmp_path / 'run/last_checkpoint').read_text()
    # A method of another package is found again by what its checkpoint records.
    code = (
        'import sys, mim_backbones\n'
        'from pretrain.methods.load import load_method\n'
        'print(type(load_method(sys.argv[1]).model).__name__)\n'
    )
    environment = {**os.environ, 'PYTHONPATH': f'{site}{os.pathsep}{ROOT}'}
    command = [sys.executable, '-c', code, checkpoint]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.split()[-1] == 'GreyMIM'

    results, report = tmp_path / 'results', tmp_path / 'report'
    words = ['--tasks', 'brightness', '--data', world, '--out', results]
    mimbench(site, 'eval', f'greymim={checkpoint}', 'random', *words)
    numbers = json.loads(mimbench(site, 'report', results, '--out', report, '--json'))['numbers']
    assert {(one['checkpoint'], one['task']) for one in numbers} == {
        ('greymim', 'brightness'), ('random init', 'brightness'),
    }  # fmt: skip
    assert all(0 < one['value'] < 100 for one in numbers)
    assert 'pictures' in (report / 'report.md').read_text()
