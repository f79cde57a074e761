"""Heads by shape, count and gradient, and what their wiring refuses."""

import pytest
import torch

from mim_backbones.backbones.layers.patches import PatchSplitting
from mim_backbones.images.normalise import Normalise
from pretrain.heads.inverse_swin import InverseSwinHead
from pretrain.heads.pixel_shuffle import MLPHead, PixelShuffleHead
from pretrain.heads.swin_block import SwinBlockHead
from pretrain.methods.simmim import SimMIM

VIT = {
    'type': 'mim_backbones.MIMViT', 'arch': {'embed_dim': 16, 'depth': 1, 'num_heads': 2},
    'img_size': 32, 'patch_size': 16, 'mask_token': True,
}  # fmt: skip
SWIN = {
    'type': 'mim_backbones.MIMSwin', 'img_size': 64, 'window_size': 2, 'mask_token': True,
    'arch': {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': (1, 1, 2, 2)},
}  # fmt: skip
INVERSE = {
    'type': 'InverseSwinHead',
    'arch': {'embed_dim': 8, 'depths': (1, 2, 2, 1), 'num_heads': (1, 1, 2, 2)},
    'window_size': 3,
}
LIGHT = {'type': 'SwinBlockHead', 'embed_dim': 48, 'window_size': 2}
HEADS = {'linear': {'type': 'PixelShuffleHead'}, 'mlp': {'type': 'MLPHead'}, 'inverse': INVERSE,
         'light': LIGHT}  # fmt: skip


def batch(model: SimMIM) -> tuple[torch.Tensor, torch.Tensor]:
    side = model.backbone.grid[0] * model.backbone.patch_size
    mask = torch.zeros(2, *model.backbone.grid, dtype=torch.bool)
    mask[:, : model.backbone.grid[0] // 2] = True
    return torch.rand(2, 3, side, side), mask


@pytest.mark.parametrize('backbone', [VIT, SWIN], ids=['vit', 'swin'])
@pytest.mark.parametrize('head', HEADS)
def test_each_head_trains_on_each_encoder(backbone, head: str) -> None:
    model = SimMIM(backbone, head=HEADS[head])
    image, mask = batch(model)
    assert model.predict(image, mask).shape == image.shape
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(4):
        loss = model(image, mask, mode='loss')['loss']
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    silent = [name for name, p in model.named_parameters() if p.grad is None]
    assert not silent


@pytest.mark.parametrize('target', [
    {'type': 'PixelTarget', 'reduce': 16}, {'type': 'PixelTarget', 'reduce': 2},
    {'type': 'NormalisedTarget', 'window': 5}, {'type': 'ColourBins', 'bins': 4, 'reduce': 8},
    {'type': 'ColourClusters', 'palette': 6, 'reduce': 4},
])  # fmt: skip
@pytest.mark.parametrize('backbone', [VIT, SWIN], ids=['vit', 'swin'])
@pytest.mark.parametrize('selector', ['masked', 'all', 'visible'])
def test_the_head_follows_the_target(backbone, target, selector: str) -> None:
    model = SimMIM(backbone, target, selector=selector)
    for name, palette in model.target.named_buffers():  # as a checkpoint's weights fill it in
        if name == 'palette':
            palette.uniform_()
    image, mask = batch(model)
    pred = model.predict(image, mask)
    side = image.shape[-1] // model.target.stride
    assert pred.shape == (2, model.target.width, side, side)
    loss = model(image, mask, mode='loss')['loss']
    loss.backward()
    assert loss.isfinite()
    assert model.target.pixels(pred, image).shape == (2, 3, side, side)


def test_selectors_and_losses_are_entries_of_the_model() -> None:
    model = SimMIM(VIT).eval()
    image, mask = batch(model)
    error = model.predict(image, mask) - Normalise()(image)
    pairs = {
        ('l1', 'masked'): error[:, :, :16].abs().mean(),
        ('l2', 'all'): error.square().mean(),
        ('smooth_l1', 'all'): torch.nn.functional.smooth_l1_loss(error, 0 * error, beta=0.5),
    }
    for (loss, selector), expected in pairs.items():
        other = SimMIM(VIT, loss=loss, selector=selector, beta=0.5).eval()
        other.load_state_dict(model.state_dict())
        found = other(image, mask, mode='loss')['loss']
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(('options', 'message'), [
    ({'head': {'type': 'MLPHead', 'in_dim': 768}}, 'in_dim=768 in the config, but MIMViT has 16'),
    ({'head': {'type': 'MLPHead', 'stride': 32}}, r'stride=32 .* MIMViT on PixelTarget needs 16'),
    ({'head': {'type': 'PixelShuffleHead', 'channels': 9}}, 'channels=9 .* PixelTarget has 3'),
    ({'target': {'type': 'PixelTarget', 'reduce': 5}}, 'per 5 px, .* not divide the 32x32 px of'),
    ({'target': {'type': 'PixelTarget', 'reduce': 4}, 'head': INVERSE}, '8 times finer .* 4 times'),
    ({'loss': 'cross_entropy'}, r"loss='cross_entropy'; known: l1, l2, smooth_l1"),
    ({'target': {'type': 'ColourBins'}, 'loss': 'l1'}, r"loss='l1'; known: cross_entropy"),
    ({'selector': 'some'}, r"selector='some'; known: masked, all, visible"),
    ({'selector': 'all+cls'}, r"selector='all\+cls' needs a CLS token"),
])  # fmt: skip
def test_parts_that_do_not_fit_are_refused_with_both_numbers(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SimMIM(VIT, **options)


def test_predictions_are_averaged_for_a_coarser_target() -> None:
    model = SimMIM(VIT, {'type': 'PixelTarget', 'reduce': 32}, loss='l2').eval()
    image, mask = batch(model)
    maps = model.head(model.backbone.forward_tokens(model.normalise(image), mask))
    error = maps.mean((2, 3)) - Normalise()(image).mean((2, 3))
    share = mask.float().mean((1, 2))  # of the one position that counts
    expected = (error.square().mean(1) * share).sum() / share.sum()
    found = model(image, mask, mode='loss')['loss']
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    thirds = {'type': 'PixelTarget', 'reduce': 16}
    with pytest.raises(ValueError, match='has a 3x3 grid, MIMViT 2x2 tokens; one must be'):
        SimMIM({**VIT, 'img_size': 48, 'patch_size': 24}, thirds)


def test_sizes_that_a_config_repeats_are_accepted() -> None:
    SimMIM(VIT, head={'type': 'PixelShuffleHead', 'in_dim': 16, 'stride': 16, 'channels': 3})


@pytest.mark.parametrize(('head', 'million'), [
    # The paper's totals (linear 89.9, MLP 90.9, inverse Swin-T 115.2, inverse Swin-B 174.8) less
    # Swin-B's 86.73. The inverse ones have 0.2M and 0.3M fewer than the paper's unpublished ones.
    (lambda: PixelShuffleHead(1024, 32, 3), 3.149),
    (lambda: MLPHead(1024, 32, 3), 4.198),
    (lambda: InverseSwinHead(1024, 32, 3, arch='tiny'), 28.294),
    (lambda: InverseSwinHead(1024, 32, 3, arch='base'), 87.767),
    # By hand: 384 * 96 + 96, a block of 12 * 96^2 + 13 * 96 + 3 * 13^2, 97 * 3072.
    (lambda: SwinBlockHead(384, 32, 3), 0.447267),
])  # fmt: skip
def test_parameters_of_the_paper_s_heads(head, million: float) -> None:
    with torch.device('meta'):
        count = sum(p.numel() for p in head().parameters())
    assert count / 1e6 == pytest.approx(million, abs=5e-4)


def test_splitting_puts_four_tokens_where_one_was() -> None:
    split = PatchSplitting(4, norm_eps=1e-5)
    split.norm = torch.nn.Identity()
    split.expansion.weight.data = torch.arange(8.0)[:, None].expand(8, 4) / 4
    found = split(torch.ones(1, 1, 2, 4) * torch.tensor([1.0, 10.0])[:, None])
    assert found.shape == (1, 2, 4, 2)
    # Outputs 0..7 are (row, column, channel); the second token is ten times the first.
    assert found[0, :, :, 0].tolist() == [[0, 2, 0, 20], [4, 6, 40, 60]]


def test_a_map_that_windows_do_not_divide_is_padded() -> None:
    head = InverseSwinHead(16, 16, 3, arch=INVERSE['arch'], window_size=3)
    assert head(torch.randn(1, 16, 2, 3)).shape == (1, 3, 32, 48)
