"""Shared by all tests: golden files and real photos, a synthetic world, one thread, one seed."""

import os
from collections import OrderedDict
from pathlib import Path

import pytest

import mim_backbones  # noqa: F401  the import stand-ins come before torchvision and mm*

pytest_plugins = ['tests.golden_files']


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        '--every-stock-config',
        action='store_true',
        help='read every config of mmdet and mmseg, build it with each backbone; else some of them',
    )
    parser.addoption(
        '--learn-photos',
        action='store_true',
        help='train a detector and a segmenter until they know some photos, 15 minutes each',
    )
    parser.addoption(
        '--learn-tracking',
        action='store_true',
        help='train the smoke tracker whole and compare it with a correlation filter, 4 minutes',
    )


@pytest.fixture(scope='session')
def shared() -> Path:
    """Folder with `golden/` and `data/`, named by MIMBENCH_SHARED."""
    folder = os.environ.get('MIMBENCH_SHARED')
    if not folder:
        pytest.skip('MIMBENCH_SHARED is not set: no golden tensors or real photos')
    return Path(folder).resolve()


@pytest.fixture
def photos(request: pytest.FixtureRequest, shared: Path) -> Path:
    """Folder of the real data sets, for trainings that take a quarter of an hour."""
    if not request.config.getoption('--learn-photos'):
        pytest.skip('--learn-photos is not given')
    return shared / 'data'


@pytest.fixture(scope='session')
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`mimbench synth --size tiny`: 8 training and 4 val images, 2 + 2 sequences."""
    from downstream.synthetic.build import build_world
    from downstream.synthetic.sizes import SIZES

    out = tmp_path_factory.mktemp('worlds') / 'tiny'
    build_world(out, SIZES['tiny'])
    return out


@pytest.fixture(autouse=True)
def _one_thread_fixed_seed() -> None:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_default_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Runner sets the scope of unprefixed names for the whole process: not for the next test."""
    from mmengine.registry import DefaultScope

    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())
