"""MAE's encoder: fixed positions, the kept tokens in shuffled order. The decoder comes later."""

import pytest
import torch

from mim_backbones import from_checkpoint, load_pretrained
from mim_backbones.backbones.vit import MIMViT

FAMILY = 'mae_pretrain'


@pytest.fixture
def backbone(golden, left_out) -> MIMViT:
    config = golden['config']
    backbone = MIMViT(
        arch={key: config[key] for key in ('embed_dim', 'depth', 'num_heads')},
        img_size=config['img_size'],
        patch_size=config['patch_size'],
        in_channels=config.get('in_chans', 3),
        pos_embed='sincos',
        mlp_ratio=config.get('mlp_ratio', 4.0),
        norm_eps=config.get('norm_eps', 1e-6),
    ).eval()
    drawn = backbone.pos_embed.clone()
    report = load_pretrained(backbone, golden['state_dict'])
    decoder = {key for key in golden['state_dict'] if key.startswith(('decoder', 'mask_token'))}
    assert left_out(report) == decoder
    torch.testing.assert_close(backbone.pos_embed, drawn, atol=1e-6, rtol=0)
    return backbone


def ratios(content: dict) -> list[str]:
    """'' and what else is there at another mask ratio."""
    return ['as configured', *(['mask_ratio_half'] if 'mask_ratio_half' in content else [])]


@pytest.mark.golden(FAMILY, needs=['noise', 'config.mask_ratio'], each=ratios)
def test_encoder_on_the_kept_tokens(golden, field, same, backbone) -> None:
    half = field == 'mask_ratio_half'
    fields, ratio = (golden[field], 0.5) if half else (golden, golden['config']['mask_ratio'])
    order = golden['noise'].argsort(dim=1)
    count = order.shape[1]
    keep = order[:, : int(count * (1 - ratio))]
    mask = torch.ones(order.shape).scatter(1, keep, 0.0)
    same(f'{field} mask', mask, fields['mask'], atol=0)
    same(f'{field} ids_restore', order.argsort(dim=1), fields['ids_restore'], atol=0)
    latent = backbone.forward_visible(golden['img'], keep=keep)
    same(f'{field} encoder_latent', latent, fields['encoder_latent'])


@pytest.mark.golden(FAMILY, needs=['noise', 'ids_shuffle'])
def test_the_noise_gives_the_order(golden, same) -> None:
    same('ids_shuffle', golden['noise'].argsort(dim=1), golden['ids_shuffle'], atol=0)


@pytest.mark.golden(FAMILY)
def test_architecture_is_read_from_the_file(golden, same, unseen) -> None:
    backbone, report = from_checkpoint(golden['state_dict'], **unseen(golden))
    assert report.missing == report.unexpected == report.fresh == []
    latent = backbone.eval().forward_visible(golden['img'], keep=golden['ids_keep'])
    same('encoder_latent', latent, golden['encoder_latent'])


@pytest.mark.golden(FAMILY, needs=['encoder_block_outputs'])
def test_block_outputs(golden, same, backbone) -> None:
    depth = range(backbone.depth)
    blocks = backbone.block_tokens(golden['img'], depth, keep=golden['ids_keep'])
    same('encoder_block_outputs', blocks, golden['encoder_block_outputs'])


@pytest.mark.golden(FAMILY)
def test_a_mask_gives_the_same_tokens_in_raster_order(golden, same, backbone) -> None:
    mask = golden['mask'].bool().view(-1, *backbone.grid)
    found = backbone.forward_visible(golden['img'], mask)
    raster = golden['ids_keep'].argsort(dim=1)[..., None]
    latent = golden['encoder_latent']
    expected = latent[:, 1:].gather(1, raster.expand(-1, -1, latent.shape[-1]))
    same('encoder_latent in raster order', found[:, 1:], expected)
