import pytest
import torch
from mmengine.registry import DefaultScope

from mim_backbones.errors import UserError
from pretrain.methods.simmim import SimMIM
from tests.pretrain.small import VIT


def simmim(
    dim: int, depth: int, heads: int, img_size: int, patch_size: int, cut_start: bool = False
) -> SimMIM:
    return SimMIM(
        backbone=dict(
            type='mim_backbones.MIMViT', arch=dict(embed_dim=dim, depth=depth, num_heads=heads),
            img_size=img_size, patch_size=patch_size, mask_token=True),
        target=dict(type='PixelTarget'),
        head=dict(type='PixelShuffleHead'),
        cut_start=cut_start,
    )  # fmt: skip


def test_cut_start_is_the_released_pre_training_start() -> None:
    wide, cut = (simmim(64, 2, 2, 32, 8, cut_start=start) for start in (False, True))
    for model, deviation in ((wide, 0.02), (cut, 0.0108)):
        weight = model.backbone.blocks[0].attn.qkv.weight
        assert weight.std().item() == pytest.approx(deviation, rel=0.05)
    assert max(weight.abs().max(), cut.backbone.mask_token.abs().max()) <= 0.02
    second = cut.backbone.blocks[1].mlp.fc2.weight
    assert second.std().item() == pytest.approx(0.0108 / 4**0.5, rel=0.05)
    with pytest.raises(ValueError, match='cut_start is for MIMViT'):
        SimMIM(dict(type='mim_backbones.MIMSwin', mask_token=True), cut_start=True)


@pytest.mark.parametrize(
    ('mask', 'message'),
    [
        (torch.zeros(2, 8, 8, dtype=torch.bool), '2 masks of 8x8 cells for 2 images of 4x4, 8 px'),
        (torch.zeros(2, 2, 8, dtype=torch.bool), '2 masks of 2x8 cells for 2 images of 4x4, 8 px'),
        (None, 'SimMIM: the data set of the recipe has no masker'),
    ],
)
def test_masks_that_do_not_fit(mask, message) -> None:
    with pytest.raises(UserError, match=message):
        simmim(32, 1, 2, 32, 8)(torch.rand(2, 3, 32, 32), mask, mode='loss')


def test_loss_draws_nothing_and_only_the_hidden_part_counts() -> None:
    model = simmim(32, 1, 2, 32, 8).eval()
    image, mask = torch.rand(2, 3, 32, 32), torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, 1:3] = True
    found = model(image, mask, mode='loss')['loss']
    assert torch.equal(found, model(image, mask, mode='loss')['loss'])
    pred = model.predict(image, mask)
    expected = (pred - model.normalise(image))[:, :, 8:24].abs().mean()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_statistics_belong_to_the_model() -> None:
    """Images are in [0, 1]; the backbone sees them as the model was told."""
    plain = SimMIM(VIT, mean=(0.5,) * 3, std=(0.5,) * 3).eval()
    image = torch.rand(1, 3, 32, 32)
    expected = plain.head(plain.backbone.forward_tokens(2 * image - 1))
    torch.testing.assert_close(plain.predict(image, None), expected)
    assert not any('normalise' in key for key in plain.state_dict())


@pytest.mark.parametrize('scope', ['mmengine', 'mim_backbones'])
def test_its_parts_are_found_whatever_ran_before(scope: str) -> None:
    DefaultScope.get_instance('an earlier run', scope_name=scope)
    simmim(32, 1, 2, 32, 8)
