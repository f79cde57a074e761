"""Hiera's MAE: visible units, fused stages, predictions, labels, loss and gradients."""

from math import ceil

import pytest
import torch
from torch import Tensor

from mim_backbones.backbones.layers.tokens import take
from mim_backbones.checkpoints.source import open_source
from pretrain.methods.hiera_mae import HieraMAE
from pretrain.methods.load import load_method, load_weights

FAMILY = 'hiera_mae'
AS_IT_IS = dict(mean=(0.0,), std=(1.0,))  # the file's images are normalised already


@pytest.fixture
def model(golden) -> HieraMAE:
    """The whole method with the file's weights under their released names."""
    config = golden['config']
    sizes = {'mlp_ratio': config['mlp_ratio'], 'norm_eps': config['norm_eps']}
    whole = HieraMAE(
        backbone=dict(
            type='mim_backbones.MIMHiera',
            arch=dict(
                embed_dim=config['embed_dim'],
                depths=config['stages'],
                num_heads=config['num_heads'],
            ),
            img_size=tuple(config['input_size']),
            in_channels=config['in_chans'],
            q_pool=config['q_pool'],
            **sizes,
        ),
        target=dict(type='PatchTarget', channels='first', **AS_IT_IS),
        decoder=dict(
            type='MAEDecoder',
            pos_embed='learned',
            embed_dim=config['decoder_embed_dim'],
            depth=config['decoder_depth'],
            num_heads=config['decoder_num_heads'],
            **sizes,
        ),
        **AS_IT_IS,
    )
    content = open_source({'model_state': golden['state_dict']})
    assert load_weights(whole, content, exact=False, grid=token_grid(golden)) == []
    return whole.eval()


def token_grid(golden: dict) -> tuple[int, int]:
    """Of the first stage, a token per 4 px."""
    rows, columns = golden['mask_unit_grid']
    return rows * 8, columns * 8


def mask_of(golden: dict) -> Tensor:
    """(B, rows, columns) bool, True = hidden: the opposite of the file's."""
    return ~golden['mask_unit_keep'].view(-1, *golden['mask_unit_grid'])


def hidden_tokens(golden: dict, maps: Tensor) -> Tensor:
    """(B, C, h, w) -> (M, C): image by image, row by row."""
    return maps.flatten(2).transpose(1, 2)[~golden['pred_token_visible']]


@pytest.mark.golden(FAMILY, needs=['noise', 'mask_ratio'])
def test_as_many_units_are_hidden_as_a_masker_hides(golden, same) -> None:
    cells = golden['noise'].shape[1]
    count = cells - ceil(cells * golden['mask_ratio'])
    smallest = golden['noise'].argsort(dim=1).argsort(dim=1) < count
    same('mask_unit_keep', smallest.float(), golden['mask_unit_keep'].float(), atol=0)


@pytest.mark.golden(FAMILY)
def test_stem_and_stages_of_the_visible_units(golden, same, model) -> None:
    stems = []
    model.backbone.patch_embed.register_forward_hook(lambda *call: stems.append(call[2]))
    mask, ends = mask_of(golden), model.backbone.stage_ends
    stages = model.backbone.visible_units(golden['image'], ends, mask)
    same('patch_embed', stems[0].flatten(2).transpose(1, 2), golden['patch_embed'])
    same('stage_outputs', list(stages), golden['stage_outputs'])


@pytest.mark.golden(FAMILY)
def test_what_is_decoded(golden, same, model) -> None:
    latent, keep, hidden = model.encoded(golden['image'], mask_of(golden))
    same('latent', latent.view(golden['latent'].shape), golden['latent'])
    visible = torch.zeros(golden['pred_token_visible'].shape)
    same('pred_token_visible', visible.scatter(1, keep, 1.0),
         golden['pred_token_visible'].float(), atol=0)  # fmt: skip
    assert not take(golden['pred_token_visible'], hidden).any()


@pytest.mark.golden(FAMILY)
def test_predictions_labels_and_loss(golden, same, model) -> None:
    image, mask = golden['image'], mask_of(golden)
    same('pred_masked', hidden_tokens(golden, model.predict(image, mask)), golden['pred_masked'])
    labels = hidden_tokens(golden, model.target(image).values)
    same('label_norm_pix', labels, golden['label_norm_pix'])
    same('loss', model(image, mask, mode='loss')['loss'], golden['loss'], atol=1e-6)
    model.target.norm_pix = False
    raw = hidden_tokens(golden, model.target(image).values)[:4]
    same('label_raw_first_tokens', raw, golden['label_raw_first_tokens'])


@pytest.mark.golden(FAMILY)
def test_gradients(golden, same, model) -> None:
    model(golden['image'], mask_of(golden), mode='loss')['loss'].backward()
    for name, gradient in golden['grads'].items():
        (own,) = HieraMAE.own_names({name: gradient}) or [f'backbone.{name}']
        same(f'grads {name}', model.get_parameter(own).grad, gradient)


@pytest.mark.golden(FAMILY)
def test_a_released_file_is_read_as_it_is(golden, same, tmp_path) -> None:
    config = golden['config']
    torch.save({'model_state': golden['state_dict']}, tmp_path / 'mae_hiera.pth')
    found = load_method(
        tmp_path / 'mae_hiera.pth',
        backbone={'num_heads': config['num_heads'], 'norm_eps': config['norm_eps'],
                  'grid': token_grid(golden)},
        options={'decoder_heads': config['decoder_num_heads']},
    )  # fmt: skip
    assert found.missing == []
    found.model.normalise = torch.nn.Identity()  # the file's images are normalised already
    pred = found.model.predict(golden['image'], mask_of(golden))
    same('pred_masked', hidden_tokens(golden, pred), golden['pred_masked'])
