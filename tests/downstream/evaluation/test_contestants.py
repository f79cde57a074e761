import pytest
import torch

from downstream.evaluation.contestants import display_name, open_contestants
from mim_backbones.errors import UserError

SWIN_NAME = 'MIMSwin 8x1-1/4'


@pytest.fixture
def swin(tmp_path):
    """A Swin of two stages, as released files have it."""
    from mim_backbones.backbones.swin import MIMSwin

    model = MIMSwin({'embed_dim': 8, 'depths': (1, 1), 'num_heads': (1, 2)}, img_size=56)
    torch.save({'model': model.state_dict()}, tmp_path / 'swin.pth')
    return tmp_path / 'swin.pth'


@pytest.fixture
def bare(tmp_path, weights):
    """Nothing but tensors."""
    torch.save(torch.load(weights, weights_only=True)['state_dict'], tmp_path / 'bare.pth')
    return tmp_path / 'bare.pth'


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


def test_one_random_start_for_each_architecture(weights, tmp_path, swin):
    names = [one.name for one in open_contestants([str(weights), f's={swin}', 'random'])]
    assert names == ['simmim', 's', 'random init MIMViT 48x4/8', f'random init {SWIN_NAME}']
    sources = [f'a={weights}', f'b={weights}', 'random']
    assert [one.name for one in open_contestants(sources)] == ['a', 'b', 'random init']


def test_random_starts_of_one_size_say_whose_they_are(bare):
    options = {'a:num_heads': 3, 'b:num_heads': 4, 'c:num_heads': 4}
    found = open_contestants([*(f'{n}={bare}' for n in 'abc'), 'random'], None, options)
    starts = {one.name: one.backbone['arch']['num_heads'] for one in found[3:]}
    size = 'random init MIMViT 48x4/8'
    assert starts == {f'{size} as a': 3, f'{size} as b': 4}


def test_other_families_compete(swin):
    (one,) = open_contestants([f's={swin}'])
    assert one.backbone['type'].endswith('MIMSwin')


def test_timm_models_compete(monkeypatch):
    from downstream.evaluation import contestants
    from mim_backbones.backbones.vit import MIMViT
    from mim_backbones.checkpoints.source import Content

    torch.manual_seed(0)
    sizes = {'embed_dim': 48, 'depth': 4, 'num_heads': 3}
    state = MIMViT(sizes, img_size=32, patch_size=8).state_dict()
    content = Content('timm:my_vit', state, {'num_heads': 3})
    monkeypatch.setattr(contestants, 'open_source', lambda source: content)
    first, second = open_contestants(['timm:my_vit', 'named=timm:my_vit'])
    assert (first.name, first.checkpoint.path) == ('my_vit', 'timm:my_vit')
    assert first.checkpoint.sha256 == second.checkpoint.sha256
    assert second.name == 'named'
    assert first.backbone['arch'] == sizes


def test_a_word_that_is_no_file_gets_a_hint(weights):
    with pytest.raises(UserError, match=r'repeat the option: --cfg-options train_cfg\.max_iters=2'):
        open_contestants([str(weights), 'train_cfg.max_iters=2'])


class TestDescriptions:
    """`--arch` and `--backbone` beside what a file says of itself."""

    def arch(self, folder, **options):
        config = folder / 'arch.py'
        config.write_text(f'model = dict(backbone={options!r})')
        return str(config)

    def test_the_same_is_no_contradiction(self, weights, tmp_path):
        same = {'embed_dim': 48, 'depth': 4, 'num_heads': 3}
        arch = self.arch(tmp_path, type='MIMViT', arch=same, patch_size=8, img_size=224)
        (one,) = open_contestants([str(weights)], arch)
        assert one.backbone['img_size'] == 64

    @pytest.mark.parametrize(('options', 'message'), [
        ({'type': 'MIMViT', 'arch': 'tiny'}, "arch={'embed_dim': 192"),
        ({'type': 'MIMViT', 'patch_size': 16}, 'patch_size=16, .*epoch_2.pth records 8'),
        ({'type': 'MIMSwin'}, 'type=MIMSwin, .* records MIMViT'),
    ])  # fmt: skip
    def test_a_contradiction_is_refused(self, weights, tmp_path, options, message):
        with pytest.raises(UserError, match=message):
            open_contestants([str(weights)], self.arch(tmp_path, **options))

    def test_options_for_all_and_for_one(self, bare):
        options = {'num_heads': 3, 'b:num_heads': 4}
        first, second = open_contestants([f'a={bare}', f'b={bare}'], None, options)
        assert first.backbone['arch']['num_heads'] == 3
        assert second.backbone['arch']['num_heads'] == 4
        with pytest.raises(UserError, match="no checkpoint is called 'c'; there are: a"):
            open_contestants([f'a={bare}'], None, {'c:num_heads': 3})

    def test_an_option_that_the_backbone_does_not_take_is_named(self, weights):
        with pytest.raises(UserError, match=r'epoch_2\.pth: .*colour'):
            open_contestants([str(weights)], None, {'colour': 3})


def test_a_file_that_says_nothing_of_itself(bare):
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


def test_how_weights_are_read_goes_along_to_the_training(tmp_path, make_job):
    """A table of 4 x 6 patches looks like one of 24 in a row; the grid says which."""
    from downstream.evaluation.backbone_config import fitted
    from mim_backbones.backbones.vit import MIMViT

    wide = MIMViT({'embed_dim': 48, 'depth': 4, 'num_heads': 3}, img_size=(32, 48), patch_size=8)
    torch.save({'model': wide.state_dict()}, tmp_path / 'wide.pth')
    options = {'num_heads': 3, 'grid': (4, 6), 'mode': 'bilinear'}
    (one,) = open_contestants([str(tmp_path / 'wide.pth')], None, options)
    assert one.backbone['img_size'] == (32, 48)
    recipe = make_job('detection').backbone
    config = fitted(recipe, one.backbone, str(tmp_path / 'wide.pth'))
    assert config['init_cfg']['grid'] == (4, 6)
    assert config['init_cfg']['mode'] == 'bilinear'
    from mim_backbones.registry import MODELS

    model = MODELS.build({**config, 'init_cfg': {**config['init_cfg']}})
    model.init_weights()
    assert torch.equal(model.patch_embed.proj.weight, wide.patch_embed.proj.weight)
