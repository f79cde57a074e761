"""The wheel of this checkout, installed into a folder of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TREES = ('mim_backbones', 'pretrain', 'downstream', 'configs', 'tools')
FILES = ('pyproject.toml', 'README.md', 'LICENSE')

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def installed(tmp_path_factory) -> Path:
    """A folder with what `pip install .` puts into site-packages, built from a copy: a build
    leaves folders in the tree it is given."""
    source, target = tmp_path_factory.mktemp('source'), tmp_path_factory.mktemp('site')
    skipped = shutil.ignore_patterns('__pycache__', '*.egg-info')
    for tree in TREES:
        shutil.copytree(ROOT / tree, source / tree, ignore=skipped)
    for file in FILES:
        shutil.copyfile(ROOT / file, source / file)
    result = subprocess.run(
        [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-build-isolation',
         '--no-index', '--disable-pip-version-check', '--target', str(target), str(source)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return target


def run(installed: Path, folder: Path, *words: str) -> str:
    """Python in `folder`, which finds the installed files before those of this checkout."""
    result = subprocess.run(
        [sys.executable, *words],
        capture_output=True, text=True, cwd=folder,
        env={**os.environ, 'PYTHONPATH': str(installed), 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_recipe_is_in_it_byte_for_byte(installed) -> None:
    ours, theirs = ROOT / 'configs', installed / 'mim_backbones' / 'recipes'

    def files(root: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob('*')
            if path.is_file() and '__pycache__' not in path.parts
        }

    assert files(theirs) == files(ours)
    assert (installed / 'mim_backbones' / 'py.typed').exists()
    assert not (installed / 'tools').exists()


def test_commands_and_recipes_are_found_from_any_folder(installed, tmp_path) -> None:
    cli = ('-m', 'mim_backbones.console.cli')
    listing = run(installed, tmp_path, *cli, '--help')
    for name in ('eval', 'train', 'report', 'doctor'):
        assert f'\n  {name} ' in listing
    code = (
        'import mim_backbones; from mim_backbones.console.recipes import find_recipe, recipe_names;'
        'print(mim_backbones.__file__, find_recipe("simmim"), *recipe_names(), sep="\\n")'
    )
    package, simmim, *names = run(installed, tmp_path, '-c', code).splitlines()
    assert Path(package).is_relative_to(installed)
    assert Path(simmim).is_relative_to(installed / 'mim_backbones' / 'recipes')
    assert len(names) == sum('_base_' not in p.parts for p in (ROOT / 'configs').rglob('*.py'))


def test_a_recipe_of_the_wheel_can_be_read(installed, tmp_path) -> None:
    """Its bases lie beside it, and the rest of the project is found."""
    code = (
        'from mim_backbones.console.recipes import find_recipe, recipe_names;'
        'from mim_backbones.training.config import read_config;'
        'print(read_config(find_recipe("simmim")).model.type)'
    )
    assert run(installed, tmp_path, '-c', code).split()[-1].endswith('SimMIM')
