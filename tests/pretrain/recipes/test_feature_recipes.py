"""Recipes on a teacher's features: real sizes of student and teacher give one grid, or both names.

Nothing is computed: networks are built on the meta device.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mim_backbones.registry import MODELS as BACKBONES
from mim_backbones.training.config import read_config
from pretrain.images.dataset import View
from pretrain.methods.base import Method
from pretrain.registry import MODELS, build
from pretrain.targets.base import Student, Target, student_of
from pretrain.targets.frozen import Frozen

FOLDER = Path(__file__).parents[3] / 'configs/pretrain'
SMALL = {
    'MIMSwin': {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': (1, 1, 2, 2)},
    'MIMViT': {'embed_dim': 16, 'depth': 1, 'num_heads': 2},
}
RECIPES = {
    path.stem: path for path in sorted(FOLDER.glob('*.py'))
    if read_config(path).model.get('target', {}).get('type') == 'FeatureTarget'
}  # fmt: skip
# Of the reference's ways from 7 x 7 features to 14 x 14 tokens: options, grid, view of the teacher.
WAYS = {
    'A': ({}, (14, 14), 448),
    'B': ({'teacher.stage': 3, 'aligner': 'same'}, (14, 14), None),
    'C': ({'aligner': 'interpolate'}, (14, 14), None),
    'D': ({'aligner': 'pool'}, (7, 7), None),
    'E': ({'teacher.dilated': True, 'aligner': 'same'}, (14, 14), None),
}


@pytest.fixture(autouse=True)
def _no_weights(monkeypatch) -> None:
    unknown = torch.zeros(32, dtype=torch.uint8)
    monkeypatch.setattr(Frozen, 'fingerprint', lambda self, *reading: unknown)


def student(cfg: Config) -> Student:
    arch = SMALL[cfg.model.backbone.type.rpartition('.')[2]]
    return student_of(BACKBONES.build({**cfg.model.backbone, 'arch': arch}))


def bound(cfg: Config) -> tuple[Target, Student]:
    """The target with a teacher of random weights in place of its file."""
    config: dict[str, Any] = cfg.model.target.to_dict()
    if not config['teacher'].get('random_weights') and 'checkpoint' in config['teacher']:
        config['teacher'] = {**config['teacher'], 'checkpoint': None, 'random_weights': True}
    learner = student(cfg)
    with torch.device('meta'):
        target = build(MODELS, config)
        target.bind(learner)
    return target, learner


@pytest.mark.parametrize('name', RECIPES)
def test_teacher_and_student_have_one_grid(name: str) -> None:
    target, learner = bound(read_config(RECIPES[name]))
    assert target.grid == learner.grid
    assert target.stride == learner.stride


@pytest.mark.parametrize(('name', 'grid', 'view'), [
    ('img2vec', (14, 14), View(448)), ('img2vec_vit-l_800e', (14, 14), View(448)),
    ('img2vec_vit-h_800e', (16, 16), View(512)), ('img2vec_swin-b_800e', (6, 6), None),
    ('fd_clip_vit-b_300e', (14, 14), None),
])  # fmt: skip
def test_sizes_that_follow(name: str, grid: tuple[int, int], view: View | None) -> None:
    target, _ = bound(read_config(RECIPES[name]))
    assert (target.grid, target.view) == (grid, view)


@pytest.mark.parametrize('way', WAYS)
def test_the_ways_that_img2vec_names(way: str) -> None:
    options, grid, side = WAYS[way]
    cfg = read_config(RECIPES['img2vec'], {f'model.target.{k}': v for k, v in options.items()})
    target, _ = bound(cfg)
    assert (target.grid, target.view) == (grid, side and View(side))
    assert target.width == (1024 if way == 'B' else 2048)


def test_what_does_not_fit_is_refused_with_both_grids() -> None:
    cfg = read_config(RECIPES['img2vec'], {'model.target.aligner': 'same'})
    with pytest.raises(ValueError, match=r'a 7x7 grid, MIMViT has 14x14 tokens; .*input_size=448'):
        bound(cfg)


# targets.md, section 1.1: what was read in the published code of each.
@pytest.mark.parametrize(('name', 'loss', 'beta', 'selector', 'eps', 'project'), [
    ('fd_clip_vit-b_300e', 'smooth_l1', 2.0, 'all+cls', 1e-5, False),
    ('fd_dino_vit-b_300e', 'smooth_l1', 2.0, 'all+cls', 1e-5, None),
    ('maskdistill_vit-b_300e', 'smooth_l1', 1.0, 'masked', 1e-5, False),
    ('milan_vit-b_400e', 'cosine', None, 'all+cls', None, True),
    ('eva_vit-b_400e', 'cosine', None, 'masked', None, True),
    ('eva_vit-g_150e', 'cosine', None, 'masked', None, True),
    ('mvp_vit-b_300e', 'cosine', None, 'masked', None, True),
    ('img2vec', 'smooth_l1', 2.0, 'masked', 1e-5, None),
])  # fmt: skip
def test_published_switches(name, loss, beta, selector, eps, project) -> None:
    model = read_config(RECIPES[name]).model
    assert model.loss == loss and beta in (None, model.get('beta'))
    assert model.get('selector', 'masked') == selector
    norm = model.target.get('norm', 'none')
    assert norm == ('none' if eps is None else {'type': 'layer', 'eps': eps})
    if project is not None:
        assert model.target.teacher.get('project', True) == project


@pytest.mark.parametrize('name', ['milan_vit-b_400e', 'eva_vit-b_400e'])
def test_two_minus_two_cosines(name: str) -> None:
    model = read_config(RECIPES[name]).model
    assert (model.shift, model.scale) == (2.0, 2.0)


def test_feature_distillation_hides_nothing() -> None:
    cfg = read_config(RECIPES['fd_clip_vit-b_300e'])
    assert 'masker' not in cfg.train_dataloader.dataset
    assert issubclass(MODELS.get(cfg.model.type), Method)
    optimizer, (schedule,) = cfg.optim_wrapper.optimizer, cfg.param_scheduler
    assert optimizer.lr == pytest.approx(1.2e-3)
    assert schedule.min_ratio * optimizer.lr == pytest.approx(5e-6 * 4)
