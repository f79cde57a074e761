"""Every model of timm that is accepted computes what timm computes; the others say why not.

Thirty of them here, narrow and two blocks deep; `tools/check_timm.py` holds all in full width.
"""

import pytest

from mim_backbones.checkpoints.load import backbone_config, from_checkpoint
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from tools.check_timm import (
    FAMILIES,
    TOLERANCE,
    check,
    check_elsewhere,
    model_of,
    names_of,
    outline,
    state_of,
)

NARROW = dict(embed_dim=48, num_heads=4)
SWIN = dict(embed_dim=16, num_heads=(1, 2, 4, 8))
HIERA = dict(embed_dim=24)
EQUAL = {
    'vit_tiny_patch16_224': NARROW,
    'vit_small_patch32_384': NARROW,
    'vit_base_patch8_224': dict(NARROW, img_size=64),
    'vit_base_patch16_gap_224': NARROW,
    'vit_medium_patch16_reg4_gap_256': NARROW,
    'vit_so150m2_patch16_reg1_gap_256': NARROW,  # a position row of the register, 257 = 1 + 16 x 16
    'vit_small_patch14_dinov2': dict(NARROW, img_size=98),
    'vit_small_patch14_reg4_dinov2': dict(NARROW, img_size=98),
    'vit_intern300m_patch14_448': dict(NARROW, img_size=98),
    'flexivit_small': dict(NARROW, img_size=64),
    'eva_large_patch14_196': NARROW,
    'eva_giant_patch14_224': dict(NARROW, img_size=56),
    'vit_base_patch16_clip_224': NARROW,
    'vit_base_patch16_clip_quickgelu_224': NARROW,
    'vit_base_patch16_siglip_224': NARROW,
    'vit_base_patch32_siglip_256': NARROW,  # the tanh approximation
    'vit_giant_patch14_reg4_dinov2': dict(NARROW, img_size=98),
    'vit_small_patch16_dinov3': NARROW,
    'vit_small_plus_patch16_dinov3_qkvb': NARROW,
    'eva02_tiny_patch14_224': NARROW,
    'eva02_base_patch14_448': dict(NARROW, img_size=98),
    'eva02_base_patch16_clip_224': NARROW,
    'vit_small_patch16_rope_ape_224': NARROW,
    'vit_pe_core_tiny_patch16_384': dict(NARROW, img_size=64),
    'test_vit': {},
    'test_vit2': {},
    'test_vit3': {},
    'deit_tiny_distilled_patch16_224': NARROW,
    'deit3_small_patch16_224': NARROW,
    'beit_base_patch16_224': dict(NARROW, img_size=64),
    'beitv2_base_patch16_224': dict(NARROW, img_size=64),
    'swin_tiny_patch4_window7_224': SWIN,
    'swin_base_patch4_window12_384': SWIN,
    'swin_s3_small_224': SWIN,
    'swinv2_tiny_window8_256': SWIN,
    'swinv2_tiny_window16_256': SWIN,  # one window of 8 on the last map
    'swinv2_base_window12to16_192to256': SWIN,
    'swinv2_large_window12to24_192to384': SWIN,
    'hiera_tiny_224': HIERA,
}
# What the error has to name, where no backbone here runs it. A part that one learns to run leaves.
REFUSED = {
    'vit_base_patch16_rpn_224': ('norms after attention and MLP', NARROW),
    'eva02_enormous_patch14_clip_224': ('norms after attention and MLP', NARROW),
    'vit_base_patch16_18x2_224': ('parallel branches', NARROW),
    'test_vit4': ('RMS norm', {}),
    'vit_dwee_patch16_reg1_gap_256': ('differential attention', NARROW),
    'swin_s3_tiny_224': ('windows of 7, 7, 14, 7 tokens', SWIN),
    'hiera_small_abswin_256': ('positions that repeat from window to window', HIERA),
    'vit_base_patch16_rope_mixed_224': ('rotary positions', NARROW),
}
# Words of the inside, which say nothing to a user.
INSIDE = ('no place for', 'another architecture', 'does not know', 'no known dialect', 'lacks')


@pytest.mark.parametrize('name', EQUAL)
def test_equal_to_timm(name: str) -> None:
    found = check(name, model_of(name, **EQUAL[name]))
    assert found.error is not None, found.why
    assert found.error < TOLERANCE


BARE = {
    'vit_base_patch16_clip_quickgelu_224': 'act=',
    'vit_base_patch32_siglip_256': 'act=',
    'vit_small_patch16_dinov3': 'rope=',
    'eva02_tiny_patch14_224': 'rope=',
    'eva02_base_patch14_224': 'rope=',
    'vit_small_patch16_rope_ape_224': 'rope=',
    'vit_pe_core_tiny_patch16_384': 'rope=',
}


@pytest.mark.parametrize('name', BARE)
def test_a_bare_file_asks_for_what_no_weight_shows(name: str) -> None:
    side = 4 * (14 if 'patch14' in name else 16 if 'patch16' in name else 32)
    model = model_of(name, **NARROW, img_size=side)
    with pytest.raises(CheckpointError, match=f'give {BARE[name]}.*or timm:NAME@FILE'):
        from_checkpoint(state_of(model), num_heads=4)
    found = check(name, model, bare=True)
    assert found.error is not None, found.why
    assert found.error < TOLERANCE


def test_a_bare_siglip_for_mean_pooling_asks_for_its_activation() -> None:
    model = model_of('vit_base_patch32_siglip_gap_256')
    with pytest.raises(CheckpointError, match='SigLIP; give act='):
        from_checkpoint(state_of(model))
    found = check('vit_base_patch32_siglip_gap_256', model, bare=True)
    assert found.error is not None, found.why
    assert found.error < TOLERANCE


@pytest.mark.parametrize('name', REFUSED)
def test_refused_for_what_it_has(name: str) -> None:
    found = check(name, model_of(name, **REFUSED[name][1]))
    assert REFUSED[name][0] in found.why
    assert not any(words in found.why for words in INSIDE)


@pytest.mark.parametrize('name', ['vit_srelpos_small_patch16_224', 'vit_relpos_small_patch16_224'])
def test_relative_positions_made_by_an_mlp_are_no_surplus(name: str) -> None:
    found = check_elsewhere(name)
    assert found is not None
    assert 'relative position' in found.why


@pytest.mark.parametrize('name', ['samvit_base_patch16', 'cait_xxs24_224', 'pit_b_224', 'resnet18'])
def test_other_models_end_in_no_traceback(name: str) -> None:
    found = check_elsewhere(name)
    assert found is None or found.verdict == 'refused'


@pytest.mark.parametrize('name', ['eva02_enormous_patch14_clip_224', 'vit_base_patch16_rpn_224'])
def test_what_no_weight_shows_is_asked_for(name: str) -> None:
    """Names and shapes as of a model that computes something else; width as released."""
    found = check(name, model_of(name), bare=True)
    assert 'give timm:NAME@FILE' in found.why


@pytest.mark.parametrize('name', ['swinv2_tiny_window8_256', 'swinv2_tiny_window16_256'])
def test_a_window_is_all_that_a_bare_swin_v2_asks_for(name: str) -> None:
    found = check(name, model_of(name, **SWIN), bare=True)
    assert found.error is not None, found.why
    assert found.error < TOLERANCE


def test_a_released_swin_v2_asks_for_the_windows_of_its_pretraining() -> None:
    state = state_of(outline('swinv2_base_window12to16_192to256'))
    with pytest.raises(CheckpointError, match=r'give pretrained_window_sizes=\(12, 12, 12, 6\)'):
        backbone_config(state, window_size=16)
    given = backbone_config(state, window_size=16, pretrained_window_sizes=(12, 12, 12, 6))
    assert given['pretrained_window_sizes'] == (12, 12, 12, 6)


def test_every_family_is_walked() -> None:
    names = names_of(FAMILIES)
    assert set(EQUAL) | set(REFUSED) <= set(names)
    assert len(names) > 250


def test_weights_are_drawn_away_from_their_start() -> None:
    for name, parameter in model_of('deit3_small_patch16_224', **NARROW).named_parameters():
        assert parameter.unique().numel() > 1, name
