"""A LaSOT folder of textured squares that move over noise: a target that is easy to follow."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from downstream.tracking.model import OneStreamTracker

WIDTH, HEIGHT = 96, 72
# A tracker of width 32 and depth 2 on crops of 32 and 64 px.
SMALL = {
    'type': 'downstream.OneStreamTracker',
    'backbone': {
        'type': 'mim_backbones.MIMViT',
        'arch': {'embed_dim': 32, 'depth': 2, 'num_heads': 2},
        'img_size': 64,
        'patch_size': 8,
        'cls_token': False,
    },
    'head': {'channels': 16, 'score_prior': 0.01, 'size_prior': 0.25},
    'template_size': 32,
    'search_size': 64,
}


def write_sequences(root: Path, names: list[str], frames: int = 12) -> None:
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        folder = root / name.rsplit('-', 1)[0] / name
        (folder / 'img').mkdir(parents=True)
        background = rng.integers(0, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        side = 16 + 2 * (number % 3)
        start, end = rng.uniform(4, 50 - side, 2), rng.uniform(4, 66 - side, 2)
        boxes = []
        for index in range(frames):
            x, y = (start + (end - start) * index / frames).astype(int)
            image = background.copy()
            image[y : y + side, x : x + side] = (230, 200, 40 * (number % 5))
            cv2.imwrite(str(folder / 'img' / f'{index + 1:08d}.jpg'), image[..., ::-1])
            boxes.append(f'{x},{y},{side},{side}')
        (folder / 'groundtruth.txt').write_text('\n'.join(boxes) + '\n')
        for flags in ('full_occlusion.txt', 'out_of_view.txt'):
            (folder / flags).write_text(','.join(['0'] * frames) + '\n')


def write_lasot(root: Path, train: int = 4, test: int = 3, frames: int = 12) -> Path:
    """training_set.txt, testing_set.txt and their sequences."""
    for file, category, count in (('training_set', 'cube', train), ('testing_set', 'tile', test)):
        names = [f'{category}-{number + 1}' for number in range(count)]
        write_sequences(root, names, frames)
        (root / f'{file}.txt').write_text('\n'.join(names) + '\n')
    return root


def lasot(root: Path, **options) -> list[dict]:
    """Sets of a TrackingPairs: this one alone."""
    return [{'name': 'lasot', 'root': str(root), **options}]


@pytest.fixture
def make_lasot(tmp_path) -> Callable[..., Path]:
    """`write_lasot` into this test's folder."""
    return lambda **counts: write_lasot(tmp_path, **counts)


@pytest.fixture(scope='module')
def lasot_root(tmp_path_factory) -> Path:
    """One LaSOT folder for the tests of a module that only read."""
    return write_lasot(tmp_path_factory.mktemp('lasot'))


@pytest.fixture
def make_model() -> Callable[..., OneStreamTracker]:
    """A `SMALL` tracker."""
    arguments = {key: value for key, value in SMALL.items() if key != 'type'}
    return lambda **options: OneStreamTracker(**{**arguments, **options})
