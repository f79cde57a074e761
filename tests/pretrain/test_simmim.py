import pytest
import torch
from mmengine.registry import DefaultScope

from pretrain.methods.simmim import SimMIM


def simmim(dim: int, depth: int, heads: int, img_size: int, patch_size: int, **options) -> SimMIM:
    return SimMIM(
        backbone=dict(
            type='mim_backbones.MIMViT', arch=dict(embed_dim=dim, depth=depth, num_heads=heads),
            img_size=img_size, patch_size=patch_size, mask_token=True, **options),
        target=dict(type='PixelTarget'),
        head=dict(type='PixelShuffleHead'),
    )  # fmt: skip


def test_loss_draws_nothing_and_only_the_hidden_part_counts() -> None:
    model = simmim(32, 1, 2, 32, 8).eval()
    image, mask = torch.randn(2, 3, 32, 32), torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, 1:3] = True
    assert torch.equal(model.loss(image, mask)['loss'], model.loss(image, mask)['loss'])
    pred = model.predict(image, mask)
    by_hand = (pred - image)[:, :, 8:24].abs().mean()
    torch.testing.assert_close(model.loss(image, mask)['loss'], by_hand, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('scope', ['mmengine', 'mim_backbones'])
def test_its_parts_are_found_whatever_ran_before(scope: str) -> None:
    DefaultScope.get_instance('an earlier run', scope_name=scope)
    simmim(32, 1, 2, 32, 8)
