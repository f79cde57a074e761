import pytest
import torch

from downstream.evaluation.contestants import display_name, open_contestants
from mim_backbones.errors import UserError


def test_a_checkpoint_says_what_it_is(weights):
    (one,) = open_contestants([str(weights)])
    assert (one.name, one.method) == ('simmim', 'SimMIM')
    assert one.backbone['patch_size'] == 8
    assert len(one.checkpoint.sha256) == 64


def test_the_random_start_takes_the_others_architecture(weights):
    first, second = open_contestants(['random', f'mine={weights}'])
    assert (first.name, first.checkpoint) == ('random init', None)
    assert second.name == 'mine'
    assert first.backbone == second.backbone


def test_the_random_start_alone_needs_an_architecture(tmp_path):
    with pytest.raises(UserError, match='--arch'):
        open_contestants(['random'])
    config = tmp_path / 'recipe.py'
    config.write_text("model = dict(backbone=dict(type='MIMViT', arch='tiny', patch_size=16))")
    (one,) = open_contestants(['random'], str(config))
    assert one.backbone == {'type': 'MIMViT', 'arch': 'tiny', 'patch_size': 16}


@pytest.mark.parametrize(('text', 'message'), [
    (None, 'config .* does not exist'),
    ('model = dict()', r'has no model\.backbone'),
    ('model = None', r'has no model\.backbone'),
    ('model = dict(backbone=vit)', "NameError: name 'vit' is not defined"),
])  # fmt: skip
def test_configs_that_describe_no_architecture(tmp_path, text, message):
    if text is not None:
        (tmp_path / 'recipe.py').write_text(text)
    with pytest.raises(UserError, match=message):
        open_contestants(['random'], str(tmp_path / 'recipe.py'))


def test_equal_names_are_refused(weights):
    with pytest.raises(UserError, match="two checkpoints are called 'simmim'"):
        open_contestants([str(weights), str(weights)])


def test_a_file_that_says_nothing_of_itself(tmp_path, weights):
    bare = tmp_path / 'bare.pth'
    torch.save(torch.load(weights, weights_only=True)['state_dict'], bare)
    with pytest.raises(UserError, match=r'bare\.pth.*--arch CONFIG'):
        open_contestants([str(bare)])


@pytest.mark.parametrize('damage', ['missing', 'truncated', 'uncovered'])
def test_a_broken_file_is_found_at_once(tmp_path, weights, damage):
    path = tmp_path / 'broken.pth'
    if damage == 'truncated':
        path.write_bytes(weights.read_bytes()[:5000])
    if damage == 'uncovered':
        content = torch.load(weights, weights_only=True)
        del content['state_dict']['backbone.blocks.0.norm1.weight']
        torch.save(content, path)
    with pytest.raises(UserError, match=r'broken\.pth'):
        open_contestants([str(path)])


def test_names_of_files(tmp_path):
    assert display_name(tmp_path / 'simmim' / 'epoch_16.pth') == 'simmim'
    assert display_name(tmp_path / 'simmim' / 'mae_base.pth') == 'mae_base'
