"""Words of the command line: what each is, and what is wrong with those that are nothing."""

import pytest
import torch
from mmengine.config import Config

from mim_backbones import save_backbone
from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS as BACKBONES
from pretrain.diversity.candidates import open_candidates
from pretrain.images.dataset import View
from tests.pretrain.small import IDS, METHODS, VIT, recipe, write_blobs


@pytest.fixture
def recipe_file(tmp_path):
    """Writes a recipe of a small model."""

    def write(model: dict, **dataset):
        path = tmp_path / 'recipe.py'
        Config.dump(recipe(model, tmp_path, tmp_path / 'work', **dataset), path)
        return str(path)

    return write


@pytest.fixture
def vit_file(tmp_path) -> str:
    path = tmp_path / 'vit.pth'
    save_backbone(BACKBONES.build(VIT), path)
    return str(path)


def test_nets_have_their_own_grid_and_sizes(vit_file) -> None:
    words = ['random:timm:test_vit', f'mine={vit_file}', 'norm-pix']
    own, mine, plain = open_candidates(words)
    assert (own.name, own.view, own.target.grid) == ('random:timm:test_vit', View(160), (10, 10))
    assert (mine.name, mine.source, mine.view) == ('mine', vit_file, View(224))
    assert (plain.target.grid, plain.target.width) == ((14, 14), 768)
    own, mine, plain = open_candidates(words, 32, 8)
    assert (own.target.grid, mine.target.grid, plain.target.grid) == ((2, 2), (4, 4), (4, 4))
    assert {one.view for one in (own, mine, plain)} == {View(32)}
    assert open_candidates([vit_file])[0].name == 'vit'


def test_a_side_that_the_stride_does_not_divide() -> None:
    """A CNN rounds up: 4 x 4 cells of 100 px."""
    (found,) = open_candidates(['random:timm:test_resnet'], 100)
    assert (found.view, found.target.grid) == (View(100), (4, 4))
    assert found.target(torch.rand(1, 3, 100, 100)).values.shape[2:] == (4, 4)


def test_a_recipe_keeps_its_sizes_and_its_interpolation(recipe_file) -> None:
    path = recipe_file(METHODS['MAE'], interpolation='bicubic')
    (found,) = open_candidates([f'mae={path}'], 64, 16)
    assert (found.view, found.target.grid) == (View(32, 'bicubic'), (4, 4))
    (named,) = open_candidates(['mae-lite_demo'])
    assert (named.name, named.view) == ('mae-lite_demo', View(64, 'bilinear'))


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['nothing'], "no teacher 'nothing': give the file of a checkpoint or a recipe"),
        (['pixels', 'pixels'], 'two of these are called pixels; call one NAME=pixels'),
        (['timm:no_such'], "timm knows no model 'no_such'"),
        (['pixels', 'x=random:timm:no_such'], "timm knows no model 'no_such'"),
        (['timm:resnet18@none.pth'], 'TimmTeacher: none.pth does not exist'),
        (['random:timm:test_resnet'], 'random:timm:test_resnet gives a 1x1 grid at 32 px'),
        (['pyproject.toml'], 'checkpoint pyproject.toml'),
    ],
)
def test_mistakes_are_one_line(words, message) -> None:
    with pytest.raises(UserError) as caught:
        open_candidates(words, 32)
    assert message in str(caught.value) and '\n' not in str(caught.value)


def test_plain_targets_that_do_not_fit() -> None:
    with pytest.raises(UserError, match=r'^pixels: PatchTarget has a position per 16 px, which do'):
        open_candidates(['pixels'], 40)


def test_targets_without_a_map_of_vectors(recipe_file) -> None:
    path = recipe_file({**METHODS['BEiT'], 'target': IDS})
    with pytest.raises(UserError, match='its target gives ids, not a map of vectors'):
        open_candidates([path])
    path = recipe_file(METHODS['MoCoV3'])
    with pytest.raises(UserError, match='its target follows the student'):
        open_candidates([path])


def test_a_file_that_is_no_recipe(tmp_path) -> None:
    path = tmp_path / 'other.py'
    path.write_text('default_scope = "pretrain"\nmodel = dict(type="SimMIM")\n')
    with pytest.raises(UserError, match=r'is no pre-training recipe: it has no model\.backbone'):
        open_candidates([str(path)])


def test_a_broken_recipe_is_named(recipe_file, tmp_path) -> None:
    write_blobs(tmp_path)
    teacher = {'type': 'TimmTeacher', 'checkpoint': 'timm:test_vit', 'random_weights': True}
    path = recipe_file(
        {**METHODS['SimMIM'], 'target': {'type': 'FeatureTarget', 'teacher': teacher}}
    )
    with pytest.raises(UserError, match=r'recipe\.py: .* gives a 2x2 grid, .* has 4x4'):
        open_candidates([path])
