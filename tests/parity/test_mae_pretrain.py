"""MAE: the encoder on the kept tokens in shuffled order; decoder, target, loss and gradients."""

import pytest
import torch

from mim_backbones import from_checkpoint, load_pretrained
from mim_backbones.backbones.vit import MIMViT
from pretrain.methods.load import load_method
from pretrain.methods.mae import MAE

FAMILY = 'mae_pretrain'
AS_IT_IS = dict(mean=(0.0,), std=(1.0,))  # the file's images are normalised already


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


@pytest.fixture
def model(golden):
    """model(norm_pix): the whole of MAE with the file's weights."""

    def build(norm_pix: bool) -> MAE:
        config = golden['config']
        size = {'img_size': config['img_size'], 'patch_size': config['patch_size']}
        model = MAE(
            backbone=dict(
                type='mim_backbones.MIMViT',
                arch={key: config[key] for key in ('embed_dim', 'depth', 'num_heads')},
                pos_embed='sincos',
                mlp_ratio=config.get('mlp_ratio', 4.0),
                norm_eps=config.get('norm_eps', 1e-6),
                **size,
            ),
            target=dict(type='PatchTarget', norm_pix=norm_pix, **AS_IT_IS),
            decoder=dict(
                type='MAEDecoder',
                embed_dim=config['decoder_embed_dim'],
                depth=config['decoder_depth'],
                num_heads=config['decoder_num_heads'],
                mlp_ratio=config.get('mlp_ratio', 4.0),
                norm_eps=config.get('norm_eps', 1e-6),
            ),
            **AS_IT_IS,
        )
        load_pretrained(model.backbone, golden['state_dict'])
        own = MAE.own_names(golden['state_dict'])
        drawn = model.decoder.pos_embed.clone()
        model.decoder.load_state_dict({k.removeprefix('decoder.'): v for k, v in own.items()})
        torch.testing.assert_close(model.decoder.pos_embed, drawn, atol=1e-6, rtol=0)
        return model.eval()

    return build


def mask_of(golden: dict) -> torch.Tensor:
    side = round(golden['mask'].shape[1] ** 0.5)
    return golden['mask'].bool().view(-1, side, side)


def tokens(maps: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) -> (B, h * w, C)."""
    return maps.flatten(2).transpose(1, 2)


@pytest.mark.golden(FAMILY, each=['loss', 'loss_norm_pix', 'target', 'target_norm_pix', 'pred'])
def test_decoder_target_and_loss(golden, field, same, model) -> None:
    image, mask, whole = golden['img'], mask_of(golden), model(field.endswith('norm_pix'))
    found = {
        'pred': lambda: tokens(whole.predict(image, mask)),
        'loss': lambda: whole(image, mask, mode='loss')['loss'],
        'target': lambda: tokens(whole.target(image).values),
    }
    same(field, found[field.removesuffix('_norm_pix')](), golden[field])


@pytest.mark.golden(FAMILY, needs=['grads_norm_pix'])
def test_gradients(golden, same, model) -> None:
    whole = model(norm_pix=True)
    whole(golden['img'], mask_of(golden), mode='loss')['loss'].backward()
    for name, gradient in golden['grads_norm_pix'].items():
        (own,) = MAE.own_names({name: gradient}) or [f'backbone.{name}']
        same(f'grads_norm_pix {name}', whole.get_parameter(own).grad, gradient)


@pytest.mark.golden(FAMILY, needs=['pred'])
def test_a_file_with_decoder_is_read_as_it_is(golden, same, tmp_path) -> None:
    config = golden['config']
    torch.save({'model': golden['state_dict']}, tmp_path / 'full.pth')
    options = {'norm_pix': True, 'decoder_heads': config['decoder_num_heads']}
    backbone = {key: config[key] for key in ('num_heads', 'norm_eps') if key in config}
    found = load_method(tmp_path / 'full.pth', backbone=backbone, options=options)
    assert found.missing == []
    found.model.normalise = torch.nn.Identity()  # the file's images are normalised already
    same('pred', tokens(found.model.predict(golden['img'], mask_of(golden))), golden['pred'])
