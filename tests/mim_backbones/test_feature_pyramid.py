import pytest
import torch

from mim_backbones.feature_pyramid import BlockPyramid, SimpleFeaturePyramid
from mim_backbones.vit import MIMViT

CLOSE = {'atol': 1e-5, 'rtol': 1e-5}


@pytest.mark.parametrize(
    ('patch_size', 'strides', 'sides'),
    [
        (16, (4, 8, 16, 32), (16, 8, 4, 2)),
        (8, (4, 8, 16, 32), (16, 8, 4, 2)),
        (8, (8, 16), (8, 4)),
        (4, (4, 8, 16, 32), (16, 8, 4, 2)),
    ],
)
def test_simple_pyramid_reaches_every_stride(patch_size, strides, sides):
    neck = SimpleFeaturePyramid(16, 8, patch_size, strides)
    side = 64 // patch_size
    maps = neck((torch.randn(2, 16, side, side),))
    assert [tuple(m.shape) for m in maps] == [(2, 8, s, s) for s in sides]


def test_simple_pyramid_keeps_rectangles_and_adds_levels():
    neck = SimpleFeaturePyramid(16, 8, 16, (8, 16), extra_levels=2)
    shapes = [tuple(m.shape[-2:]) for m in neck((torch.randn(1, 16, 4, 6),))]
    assert shapes == [(8, 12), (4, 6), (2, 3), (1, 2)]


def test_simple_pyramid_has_vitdets_parameters():
    # ViTDet at stride 16, width 16: 4x is 16 -> 8 -> 4 channels by two deconvolutions.
    level = SimpleFeaturePyramid(16, 8, 16, (4,)).levels[0]
    shapes = {name: tuple(p.shape) for name, p in level.named_parameters() if 'weight' in name}
    assert list(shapes.values()) == [
        (16, 8, 2, 2), (8,), (8, 4, 2, 2), (8, 4, 1, 1), (8,), (8, 8, 3, 3), (8,),
    ]  # fmt: skip


def test_simple_pyramid_gives_float32_under_autocast():
    neck = SimpleFeaturePyramid(16, 8, 8, (8, 16))
    with torch.autocast('cpu', torch.bfloat16):
        maps = neck((torch.randn(1, 16, 8, 8),))
    assert {m.dtype for m in maps} == {torch.float32}


@pytest.mark.parametrize(('patch_size', 'stride'), [(16, 12), (14, 4), (8, 24)])
def test_strides_no_power_of_two_away_are_refused(patch_size, stride):
    with pytest.raises(ValueError, match=f'from stride {patch_size} to {stride}'):
        SimpleFeaturePyramid(16, 8, patch_size, (stride,))


@pytest.mark.parametrize('patch_size', [8, 16])
def test_block_pyramid_takes_one_map_per_stride(patch_size):
    neck = BlockPyramid(16, patch_size)
    side = 64 // patch_size
    maps = neck([torch.randn(2, 16, side, side) for _ in range(4)])
    assert [tuple(m.shape) for m in maps] == [(2, 16, s, s) for s in (16, 8, 4, 2)]
    with pytest.raises(ValueError, match='1 maps for 4 strides'):
        neck([torch.randn(2, 16, side, side)])


@pytest.mark.parametrize('tag', ['same', 'large', 'small'])
def test_block_pyramid_equals_beit(shared, tag):
    """Provenance: golden/README.md, beitv2_backbone_rpb_p16.pt (released BEiT v2 code)."""
    golden = torch.load(shared / 'golden' / 'beitv2_backbone_rpb_p16.pt', weights_only=True)
    neck = BlockPyramid(48).eval()
    neck.load_state_dict(golden['fpn_state_dict'])
    side = golden[f'{tag}_img_size'] // 16
    first, third, fourth = (
        tokens[:, 1:].transpose(1, 2).unflatten(2, (side, side))
        for tokens in golden[f'{tag}_block_tokens']  # of blocks 0, 2 and 3
    )
    maps = neck([first, first, third, fourth])
    for level in (0, 2, 3):
        torch.testing.assert_close(maps[level], golden[f'{tag}_pyramid'][level], **CLOSE)


def test_image_to_pyramid_equals_beit(shared):
    golden = torch.load(shared / 'golden' / 'beitv2_backbone_rpb_p16.pt', weights_only=True)
    backbone = MIMViT(
        arch={'embed_dim': 48, 'depth': 4, 'num_heads': 4}, img_size=96, patch_size=16,
        pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', layer_scale=0.1,
        final_norm=False, out_indices=golden['out_indices'],
    ).eval()  # fmt: skip
    state = golden['pretrain_state_dict']
    missing, _ = backbone.load_state_dict(
        {key: value for key, value in state.items() if key in backbone.state_dict()}, strict=False
    )
    assert missing == []
    neck = BlockPyramid(48).eval()
    neck.load_state_dict(golden['fpn_state_dict'])
    with torch.no_grad():
        maps = neck(backbone(golden['same_image']))
    for found, expected in zip(maps, golden['same_pyramid']):
        torch.testing.assert_close(found, expected, **CLOSE)
