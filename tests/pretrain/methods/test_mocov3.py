"""MoCo v3: its loss by hand, its momentum encoder, its start, and several processes as one."""

from math import exp, log

import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.utils.data import default_collate

from mim_backbones import from_checkpoint
from mim_backbones.errors import UserError
from mim_backbones.training.launch import build_runner
from pretrain.commands.reconstruct import reconstruct
from pretrain.images.preprocessor import ImagePreprocessor
from pretrain.images.two_views import TwoViews
from pretrain.methods.load import load_method
from pretrain.methods.mocov3 import contrast
from pretrain.registry import MODELS, build
from pretrain.targets.momentum import momentum_at
from tests.pretrain.methods.step_process import check_two_as_one
from tests.pretrain.small import HIERA, METHODS, SWIN, VIT, bound, method, recipe, write_blobs


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_blobs(tmp_path_factory.mktemp('images'))


@pytest.fixture(scope='module')
def run(tmp_path_factory, images):
    """Folder of two epochs of two steps."""
    folder = tmp_path_factory.mktemp('mocov3') / 'run'
    torch.manual_seed(0)
    build_runner(recipe(METHODS['MoCoV3'], images, folder)).train()
    return folder


def test_contrast_by_hand() -> None:
    """Cosines 1 and 0, T = 0.5: each query is found with e^2 / (e^2 + 1); lengths do not count."""
    queries, keys = torch.tensor([[3.0, 0], [0, 1]]), torch.tensor([[1.0, 0], [0, 5]])
    expected = 2 * 0.5 * log(1 + exp(-2))
    assert contrast(queries, keys, 0.5).item() == pytest.approx(expected, abs=1e-6)
    assert contrast(queries, keys.flip(0), 0.5).item() == pytest.approx(expected + 2, abs=1e-6)


def test_half_precision_does_not_reach_the_cosines() -> None:
    queries, keys = torch.randn(2, 4, 8)
    plain = contrast(queries, keys, 0.2)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(contrast(queries, keys, 0.2), plain)


@pytest.mark.parametrize(('progress', 'expected'), [
    (0.0, 0.99), (1 / 3, 0.9925), (0.5, 0.995), (2 / 3, 0.9975), (1.0, 1.0),
])  # fmt: skip
def test_the_momentum_rises_to_one(progress, expected) -> None:
    """By hand: cos of 0, 60, 90, 120 and 180 degrees."""
    assert momentum_at(progress, 0.99) == pytest.approx(expected, abs=1e-12)


def test_a_momentum_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r'momentum is 1.5, it must be in \[0, 1\]'):
        method('MoCoV3', momentum=1.5)


def test_the_momentum_encoder_starts_as_the_student_and_learns_nothing_itself() -> None:
    model = method('MoCoV3').train()
    for own, new in zip(
        model.target.momentum_encoder.state_dict().values(),
        model.encoder.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(own, new)
    model(*torch.rand(2, 4, 3, 32, 32), mode='loss')['loss'].backward()
    slow = dict(model.target.named_parameters())
    assert slow and not any(p.requires_grad or p.grad is not None for p in slow.values())
    still = {k for k, p in model.named_parameters() if not p.requires_grad} - {
        f'target.{name}' for name in slow
    }
    projection = {f'backbone.patch_embed.proj.{part}' for part in ('weight', 'bias')}
    assert still == {'backbone.pos_embed', *projection}
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_the_patch_projection_may_learn() -> None:
    assert method('MoCoV3', frozen_patches=False).backbone.patch_embed.proj.weight.requires_grad


def test_weights_to_start_from_reach_the_momentum_encoder(run) -> None:
    source = {'type': 'Pretrained', 'checkpoint': str(run / 'epoch_1.pth')}
    backbone = {**METHODS['MoCoV3']['backbone'], 'init_cfg': source}
    model = method('MoCoV3', backbone=backbone)
    model.init_weights()
    wanted = torch.load(run / 'epoch_1.pth', weights_only=False)['state_dict']
    for name in ('cls_token', 'blocks.1.attn.qkv.weight'):
        for prefix in ('backbone', 'target.momentum_encoder.backbone'):
            found = model.get_parameter(f'{prefix}.{name}')
            assert torch.equal(found, wanted[f'backbone.{name}'])


def test_the_momentum_encoder_follows_the_runner(run) -> None:
    """Four steps; the last moves by 1 - m = 0, so that the copy is that of the third."""
    first, last = (
        torch.load(run / f'epoch_{n}.pth', weights_only=False)['state_dict'] for n in (1, 2)
    )
    name = 'blocks.0.mlp.fc1.weight'
    student = [state[f'backbone.{name}'] for state in (first, last)]
    slow = [state[f'target.momentum_encoder.backbone.{name}'] for state in (first, last)]
    assert not torch.equal(*slow) and not torch.equal(*student)
    moved = (slow[1] - slow[0]).abs().max() / (student[1] - slow[0]).abs().max()
    assert 0 < moved < 2 * (1 - momentum_at(3 / 4, 0.99))


def test_the_start_of_a_vit() -> None:
    """Bounds of Xavier's uniform by hand, D = 32, patch 8: sqrt(6 / 64) for q, k, v each, sqrt(6 /
    (32 + 192)) for the projection; jointly, q, k, v would stay below sqrt(6 / 128)."""
    torch.manual_seed(0)
    vit = method('MoCoV3').backbone
    for part in vit.blocks[0].attn.qkv.weight.chunk(3):
        assert (6 / 128) ** 0.5 < part.abs().max() <= (6 / 64) ** 0.5
    patch = vit.patch_embed.proj
    assert 0.95 * (6 / 224) ** 0.5 < patch.weight.abs().max() <= (6 / 224) ** 0.5
    assert not patch.bias.any() and not vit.blocks[1].mlp.fc2.bias.any()
    assert 0 < vit.cls_token.abs().max() < 1e-5


@pytest.mark.parametrize('backbone', [SWIN, HIERA], ids=['swin', 'hiera'])
def test_families_without_a_cls_token_are_pooled(backbone) -> None:
    model = method('MoCoV3', backbone={**backbone, 'mask_token': False}).train()
    model(*torch.rand(2, 4, 3, 64, 64), mode='loss')['loss'].backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_the_momentum_encoder_of_a_checkpoint_loads_on_request(run) -> None:
    state = torch.load(run / 'epoch_2.pth', weights_only=False)['state_dict']
    for weights, prefix in (('auto', 'backbone'), ('ema', 'target.momentum_encoder.backbone')):
        backbone, _ = from_checkpoint(run / 'epoch_2.pth', weights=weights)
        assert torch.equal(backbone.norm.weight, state[f'{prefix}.norm.weight'])
        assert torch.equal(backbone.cls_token, state[f'{prefix}.cls_token'])


def test_a_loaded_model_has_no_loss(run) -> None:
    model = load_method(run / 'epoch_2.pth').model
    with pytest.raises(UserError, match='loaded to predict, without its momentum encoder'):
        model(*torch.rand(2, 2, 3, 32, 32), mode='loss')


def test_one_view_is_no_data(images, tmp_path) -> None:
    config = recipe(METHODS['MoCoV3'], images, tmp_path / 'run', type='UnlabelledImages')
    with pytest.raises(UserError, match=r"views; give train_dataloader.dataset.type='TwoViews'"):
        build_runner(config).train()


def test_reconstruct_says_that_there_is_nothing_to_draw(run, images, tmp_path) -> None:
    """Of ours and of a released file."""
    vit = {key: value for key, value in METHODS['MoCoV3']['backbone'].items() if key != 'type'}
    model = build(MODELS, {'type': 'MoCoV3', 'backbone': {'type': VIT['type'], **vit}})
    state = {
        f'module.{side}.{name}': value
        for side, part in (('base_encoder', model), ('momentum_encoder', model))
        for name, value in [
            *part.backbone.state_dict().items(),
            *((f'head.{k}', v) for k, v in part.projector.state_dict().items()),
        ]
    }
    torch.save({'state_dict': state, 'arch': 'vit_small'}, tmp_path / 'vit-s.pth.tar')
    for path, said in (
        (run / 'epoch_2.pth', 'MoCoV3 predicts no colours, so there is nothing to draw'),
        (tmp_path / 'vit-s.pth.tar', 'is of MoCo v3, which compares images and predicts nothing'),
    ):
        with pytest.raises(UserError, match=said):
            CliRunner().invoke(
                reconstruct, [str(path), str(images), '--out', str(tmp_path / 'x.png')],
                catch_exceptions=False,
            )  # fmt: skip


def test_two_processes_are_as_one(tmp_path) -> None:
    """Loss, gradients, weights, momentum encoder and statistics after each of three steps."""
    batches = [
        dict(zip(('image', 'second_image'), views, strict=True))
        for views in torch.rand(3, 2, 6, 3, 32, 32, dtype=torch.float64)
    ]
    alone = check_two_as_one(METHODS['MoCoV3'], batches, 4, tmp_path, atol=1e-9, rtol=1e-7)
    assert alone['0 loss'] > 0.1 and alone['0 gradient of backbone.cls_token'].abs().max() > 1e-3


def test_batch_norms_alone_are_torchs() -> None:
    model = method('MoCoV3').train()
    norm = model.projector[1]
    plain = nn.BatchNorm1d(norm.num_features)
    x = torch.randn(5, norm.num_features)
    assert torch.equal(norm(x), plain(x))
    assert norm.state_dict().keys() == plain.state_dict().keys()
    assert all(torch.equal(v, plain.state_dict()[k]) for k, v in norm.state_dict().items())
    assert torch.equal(norm.eval()(x), plain.eval()(x))


@pytest.mark.slow
def test_images_are_told_apart(tmp_path) -> None:
    """Of pictures that no training saw, the other view is found far better than by chance."""
    images, others = write_blobs(tmp_path / 'images', 56), tmp_path / 'others'
    others.mkdir()
    for path in sorted(images.iterdir())[40:]:
        path.rename(others / path.name)
    model = {**METHODS['MoCoV3'], 'hidden_dim': 64, 'out_dim': 16, 'momentum': 0.9}
    # Views that keep the colours, so that a tiny net learns in seconds.
    views = {'scale': (0.8, 1.0), 'views': [{'hue': 0.0, 'grey': 0.0}] * 2}
    config = recipe(model, images, tmp_path / 'run', epochs=150, **views)
    config.train_dataloader.batch_size = 20
    config.optim_wrapper.optimizer.lr = 2e-3
    config.default_hooks.checkpoint.interval = 150
    untrained = build(MODELS, model).state_dict()
    torch.manual_seed(0)
    build_runner(config).train()
    trained = torch.load(tmp_path / 'run' / 'epoch_150.pth', weights_only=False)['state_dict']
    data = bound(TwoViews(str(others), **views))

    def loss(weights: dict) -> float:
        found = []
        for draw in range(4):
            net = build(MODELS, model).train()
            net.load_state_dict(weights)
            batch = default_collate([data[(i, (draw, 9, i))] for i in range(16)])
            found.append(net(**ImagePreprocessor()(batch), mode='loss')['loss'].item())
        return sum(found) / len(found)

    chance = 4 * 0.2 * log(16)  # 2 terms of 2 T log(images)
    assert loss(untrained) > 0.95 * chance
    assert loss(trained) < 0.5 * chance
