"""Hiera's MAE: what it sees, what it decodes, its start, and released files of it."""

from math import sqrt

import pytest
import torch
from torch import Tensor

from mim_backbones import from_checkpoint
from mim_backbones.training.config import read_config
from pretrain.images.decode import load_readable
from pretrain.inspect.reconstruction import load_drawable, reconstruct
from pretrain.methods.hiera_mae import RELEASED, HieraMAE
from pretrain.registry import MODELS, build
from tests.pretrain.small import HIERA, HIERA_DECODER, SWIN, VIT, method, write_blobs

BACKBONE = {**HIERA, 'mask_token': False, 'q_pool': 2}


def masked(model: HieraMAE, hidden: int) -> tuple[Tensor, Tensor]:
    """Two images and masks that hide as many units of each."""
    side, cells = model.img_size, model.img_size // model.backbone.mask_size
    mask = torch.rand(2, cells**2).argsort(1) < hidden
    return torch.rand(2, 3, side, side), mask.view(2, cells, cells)


def released(model: HieraMAE, prefix: str = '') -> dict[str, Tensor]:
    """Its weights under the names of facebookresearch/hiera."""
    state = {}
    for name, value in model.state_dict().items():
        name = name.removeprefix('backbone.')
        for ours, theirs in RELEASED.items():
            name = name.replace(ours, theirs)
        name = name.replace('decoder.mask_token', 'mask_token').replace('decoder.', 'decoder_')
        if not name.startswith('target.'):
            state[prefix + name] = value
    return state


def test_what_is_hidden_is_not_seen() -> None:
    """Not even by the stem, whose 7 x 7 patches reach over the border of a unit."""
    model = method('HieraMAE').eval()
    image, mask = masked(model, hidden=2)
    pixels = mask.repeat_interleave(32, 1).repeat_interleave(32, 2)[:, None]
    other = torch.where(pixels, torch.rand_like(image), image)
    assert torch.equal(model.predict(image, mask), model.predict(other, mask))
    assert not torch.equal(model.predict(image, mask), model.predict(other.flip(3), mask))


def test_every_stage_that_is_fused_and_every_weight_gets_a_gradient() -> None:
    model = method('HieraMAE')
    model(*masked(model, hidden=2), mode='loss')['loss'].backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


def test_without_fusion_mae_decodes_the_last_stage() -> None:
    """The ablation of the paper, by another word in the recipe."""
    single = build(MODELS, {'type': 'MAE', 'backbone': BACKBONE, 'decoder': HIERA_DECODER})
    image, mask = masked(single, hidden=2)
    latent, keep, hidden = single.encoded(image, mask)
    assert latent.shape == (2, 8, 128) and keep.shape == hidden.shape == (2, 8)
    assert single.predict(image, mask).shape == (2, 768, 4, 4)


@pytest.mark.slow
def test_it_learns_what_lies_beside_the_hidden(tmp_path) -> None:
    """A patch's normalised values vary by 1: what always predicts their mean has that loss."""
    files = sorted(write_blobs(tmp_path / 'images', 8, 64).iterdir())
    image = torch.stack([*load_readable(files, 64).values()]) / 255
    model = method('HieraMAE')
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(150):
        mask = (torch.rand(8, 4).argsort(1) < 2).view(8, 2, 2)
        loss = model(image, mask, mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.9 and sum(losses[-10:]) / 10 < 0.5


def test_it_starts_as_released() -> None:
    """Uniform between +-sqrt(6 / (in + out)), the stem over its 3 x 7 x 7 values; biases zero."""
    backbone = method('HieraMAE').backbone
    qkv, stem = backbone.blocks[-1].attn.qkv, backbone.patch_embed.proj
    for layer, ends in ((qkv, 64 + 3 * 128), (stem, 3 * 49 + 16)):
        bound = sqrt(6 / ends)
        assert 0.97 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / sqrt(3), rel=0.03)
    assert not qkv.bias.any() and stem.bias.any()


def test_other_families_are_refused() -> None:
    for name in ('MAE', 'HieraMAE'):
        with pytest.raises(ValueError, match=r'MIMSwin cannot leave out what is hidden; take'):
            build(MODELS, {'type': name, 'backbone': SWIN})
    with pytest.raises(ValueError, match=r'for MIMHiera, not mim_backbones\.MIMViT; use MAE'):
        HieraMAE(VIT)


def test_a_released_checkpoint_is_drawn(tmp_path) -> None:
    """Its decoder, target and masker are those of the release; hidden squares are predicted."""
    model = method('HieraMAE').eval()
    torch.save({'model_state': released(model)}, tmp_path / 'mae_hiera.pth')
    found, masker, missing = load_drawable(
        tmp_path / 'mae_hiera.pth', None, {'num_heads': 1}, {'decoder_heads': 2}
    )
    assert (type(found), missing, masker.ratio, masker.grid) == (HieraMAE, [], 0.6, (2, 2))
    image, mask = masked(model, hidden=2)
    assert torch.equal(found.predict(image, mask), model.predict(image, mask))
    original, _, pasted = reconstruct(found, (image * 255).byte(), mask).unbind(1)
    hidden = mask.repeat_interleave(32, 1).repeat_interleave(32, 2)[:, None].expand_as(image)
    assert torch.equal(original[~hidden], pasted[~hidden])
    assert not torch.equal(original[hidden], pasted[hidden])


def test_mae_lites_file_shows_all_and_its_decoder_the_ratio(tmp_path) -> None:
    recipe = read_config('configs/pretrain/mae-lite_hiera-ti_400e.py').model
    model = build(MODELS, recipe).eval()
    count = sum(p.numel() for p in model.parameters())
    assert count / 1e6 == pytest.approx(6.974, abs=5e-4)  # reference: as the release counts it
    path = tmp_path / 'lite.pth.tar'
    torch.save({'model': released(model, 'module.model.')}, path)
    found, masker, missing = load_drawable(path)
    assert missing == [] and masker.ratio == 0.4
    assert (found.backbone.depths, found.backbone.q_pool) == ((1, 2, 7, 2), 2)
    image, mask = masked(model, hidden=20)
    assert torch.equal(found.predict(image[:1], mask[:1]), model.predict(image[:1], mask[:1]))


def test_a_backbone_is_pooled_as_it_was_trained_unless_said() -> None:
    """Protocols say 3 (tests/downstream/evaluation/test_backbone_config.py, 'hiera-q2')."""
    content = {'model_state': released(method('HieraMAE'))}
    for asked, stride in (({}, 16), ({'q_pool': 3}, 32)):
        backbone, report = from_checkpoint(content, num_heads=1, **asked)
        assert (backbone.stride, report.missing) == (stride, [])
