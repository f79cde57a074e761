"""data2vec: its loss by hand, the copy it learns from, and several processes as one."""

from math import sqrt

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mim_backbones import from_checkpoint
from mim_backbones.training.launch import build_runner
from pretrain.methods.data2vec import mean_over, spread
from pretrain.targets.base import Progress, Wanted
from pretrain.targets.ema_blocks import EMABlocks
from tests.pretrain.methods.step_process import check_two_as_one
from tests.pretrain.small import METHODS, SWIN, VIT, method, recipe, write_blobs

MODEL = METHODS['Data2Vec']


def masks(count: int) -> Tensor:
    """Half of 4 x 4 cells hidden in each, (count, 4, 4)."""
    return (torch.rand(count, 16).argsort(1) < 8).view(count, 4, 4)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Folder of two epochs of two steps."""
    folder = tmp_path_factory.mktemp('data2vec')
    images = write_blobs(folder / 'images')
    target = {**MODEL['target'], 'decay': 0.5}
    torch.manual_seed(0)
    build_runner(recipe({**MODEL, 'target': target}, images, folder / 'run')).train()
    return folder / 'run'


def test_the_loss_by_hand() -> None:
    """Errors 1 and 3 below and above beta = 2: 1/4 and 3 - 1; the visible position's does not
    count. Of all channels alike, so that their mean is the mean of the two."""
    model = method('Data2Vec')
    wanted = torch.zeros(1, model.target.width, 4, 4)
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, 0, :2] = True
    wanted[..., 0, 0], wanted[..., 0, 1], wanted[..., 3, 3] = 1.0, -3.0, 50.0
    model.predict = lambda image, mask: torch.zeros_like(wanted)
    loss = model.loss(torch.zeros(1, 3, 32, 32), mask, Wanted(wanted))['loss']
    assert loss.item() == pytest.approx((0.25 + 2) / 2)


def test_the_spread_by_hand() -> None:
    """Values 0, 2 and 4 at hidden positions deviate by 2 (n - 1 = 2), 1e-6 below the root."""
    pred = torch.tensor([0.0, 2, 4, 99]).view(1, 1, 2, 2)
    counted = torch.tensor([True, True, True, False]).view(1, 1, 2, 2)
    assert mean_over(pred, counted).tolist() == [2.0]
    assert spread(pred, counted).item() == pytest.approx(sqrt(4 + 1e-6))


def test_predictions_that_fall_together_cost() -> None:
    """All alike: each channel lacks the whole margin, but for the 1e-3 of the root."""
    plain, spreading = method('Data2Vec'), method('Data2Vec', spread_weight=2.0, loss_scale=0.5)
    spreading.load_state_dict(plain.state_dict())
    for model in (plain, spreading):
        torch.nn.init.zeros_(model.lm_head.weight)
    image, mask = torch.rand(2, 3, 32, 32), masks(2)
    one, two = (model(image, mask, mode='loss')['loss'].item() for model in (plain, spreading))
    assert two == pytest.approx(0.5 * (one + 2.0 * (0.5 - 1e-3)), abs=1e-6)


def test_the_copy_sees_the_whole_image_and_draws_nothing() -> None:
    model = method('Data2Vec', backbone={**VIT, 'drop_path_rate': 0.9, 'attn_drop_rate': 0.5})
    model.train()
    image = torch.rand(2, 3, 32, 32)
    one, two = (model.target(image).values for _ in range(2))
    assert torch.equal(one, two) and not one.requires_grad
    assert not torch.equal(model.predict(image, masks(2)), model.predict(image, masks(2)))
    model(image, masks(2), mode='loss')['loss'].backward()
    slow = dict(model.target.named_parameters())
    assert slow and not any(p.requires_grad or p.grad is not None for p in slow.values())
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert model.eval().predict(image, None).shape == one.shape


def test_the_copy_starts_as_the_student_and_moves_by_the_decay() -> None:
    model = method('Data2Vec', target={**MODEL['target'], 'decay': 0.75})
    name = 'blocks.1.mlp.fc1.weight'
    slow, fast = (
        part.get_parameter(name) for part in (model.target.momentum_encoder, model.backbone)
    )
    assert torch.equal(slow, fast)
    before = slow.clone()
    torch.nn.init.ones_(fast)
    model.target.update(model, Progress(1, 4, 2))
    torch.testing.assert_close(slow, 0.75 * before + 0.25)


def test_a_half_precision_student_has_a_full_target() -> None:
    model = method('Data2Vec')
    image = torch.rand(1, 3, 32, 32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert model.target(image).values.dtype == torch.float32
        exact = method('Data2Vec', target={**MODEL['target'], 'precision': 'fp32'})
        exact.load_state_dict(model.state_dict())
        found = exact.target(image).values
    assert torch.equal(found, model.target(image).values)


def test_the_copy_of_a_checkpoint_loads_on_request(run) -> None:
    state = torch.load(run / 'epoch_2.pth', weights_only=False)['state_dict']
    table = 'blocks.0.mlp.fc1.weight'
    for weights, prefix in (('auto', 'backbone'), ('ema', 'target.momentum_encoder')):
        backbone, _ = from_checkpoint(run / 'epoch_2.pth', weights=weights)
        assert torch.equal(backbone.get_parameter(table), state[f'{prefix}.{table}'])
    assert not torch.equal(state[f'backbone.{table}'], state[f'target.momentum_encoder.{table}'])


def test_weights_to_start_from_reach_the_copy(run) -> None:
    source = {'type': 'Pretrained', 'checkpoint': str(run / 'epoch_1.pth')}
    model = method('Data2Vec', backbone={**VIT, 'init_cfg': source})
    model.init_weights()
    wanted = torch.load(run / 'epoch_1.pth', weights_only=False)['state_dict']
    name = 'blocks.1.attn.qkv.weight'
    for part in (model.backbone, model.target.momentum_encoder):
        assert torch.equal(part.get_parameter(name), wanted[f'backbone.{name}'])


def test_simmim_may_follow_itself_too() -> None:
    model = method('SimMIM', target={'type': 'EMABlocks', 'blocks': [0, 1]})
    loss = model(torch.rand(2, 3, 32, 32), masks(2), mode='loss')['loss']
    loss.backward()
    assert loss > 0 and model.backbone.mask_token.grad.abs().max() > 0


@pytest.mark.parametrize(('changes', 'message'), [
    ({'target': {'type': 'EMABlocks', 'blocks': 3}}, r'blocks \(-3, -2, -1\) of 2'),
    ({'target': {'type': 'EMABlocks', 'readout': 'attn'}}, "readout='attn'; known: end, fc"),
    ({'target': {'type': 'EMABlocks', 'norms': ['layer', 'batch']}}, 'batch, instance, layer, in'),
    ({'target': {'type': 'EMABlocks', 'decay': 1.5}}, r'decay=1.5, .*both lie in \[0, 1\]'),
    ({'loss': 'cosine'}, "loss='cosine'; known: smooth_l1, l2"),
    ({'backbone': SWIN}, 'averages blocks of a MIMViT, not MIMSwin'),
    ({'target': {'type': 'PixelTarget'}}, 'PixelTarget gives pixels on a'),
])  # fmt: skip
def test_what_does_not_fit_is_refused(changes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method('Data2Vec', **changes)


def test_an_instance_norm_takes_offsets_and_scales_away() -> None:
    target = EMABlocks(block_norms=['instance'], norms=[])
    outputs = torch.randn(2, 3, 2, 2)
    moved = 5 * outputs + torch.tensor([1.0, -2, 3]).view(3, 1, 1)
    torch.testing.assert_close(
        target.averaged([moved]), target.averaged([outputs]), atol=1e-3, rtol=1e-3
    )


def test_two_processes_are_as_one(tmp_path) -> None:
    """Each hides as much; the copy's weights are among what is compared."""
    batches = [
        {'image': torch.rand(4, 3, 32, 32, dtype=torch.float64), 'mask': masks(4)} for _ in range(3)
    ]
    model = {**MODEL, 'target': {**MODEL['target'], 'decay': 0.9, 'anneal_steps': 2}}
    alone = check_two_as_one(model, batches, 3, tmp_path, atol=1e-6, rtol=1e-5)
    name = 'target.momentum_encoder.blocks.0.mlp.fc1.weight'
    assert not torch.equal(alone[f'0 {name}'], alone[f'2 {name}'])
    assert alone['0 loss'] > 0.01


def blobs(count: int) -> Tensor:
    """Soft blobs (count, 3, 32, 32): neighbouring pixels tell about hidden ones."""
    coarse = torch.rand(count, 3, 3, 3)
    return interpolate(coarse, 32, mode='bicubic').clamp(0, 1)


@pytest.mark.slow
def test_hidden_features_are_found() -> None:
    """Of pictures that no step saw: nearer to the copy's than their mean is, which still differ
    from place to place."""
    steps = 400
    model = method('Data2Vec', target={**MODEL['target'], 'decay': 0.99, 'anneal_steps': 0})
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for step in range(steps):
        image, mask = blobs(32), masks(32)
        loss = model.loss(image, mask, model.target(image))['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.target.update(model, Progress(step + 1, steps, steps))
    model.eval()
    image, mask = blobs(64), masks(64)
    with torch.no_grad():
        wanted, pred = model.target(image).values, model.predict(image, mask)
    hidden = mask[:, None]
    mean = mean_over(wanted, hidden).view(1, -1, 1, 1)
    error, chance = (mean_over((x - wanted).square(), hidden).mean() for x in (pred, mean))
    assert error < 0.93 * chance  # 0.86 with this seed; a model that learns nothing has 1
    assert chance > 0.5
