import pytest
import torch

from mim_backbones.backbones.feature_pyramid import BlockPyramid, SimpleFeaturePyramid
from mim_backbones.registry import MODELS


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


def test_the_last_row_of_an_odd_map_is_pooled_alone_or_dropped_as_published():
    maps = (torch.randn(1, 16, 5, 7),)
    for ceil_mode, coarse in ((True, (3, 4)), (False, (2, 3))):
        neck = SimpleFeaturePyramid(16, 8, 16, (16, 32), ceil_mode=ceil_mode)
        assert tuple(neck(maps)[1].shape[-2:]) == coarse


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


def test_block_pyramid_of_fewer_channels_has_mae_lites_parameters():
    # Its Feature2Pyramid_Scale, 192 -> 48: two deconvolutions, one, a 1x1 convolution, another.
    neck = BlockPyramid(192, out_channels=48)
    shapes = [tuple(p.shape) for name, p in neck.named_parameters() if p.ndim > 1]
    assert shapes == [
        (192, 48, 2, 2), (48, 48, 2, 2), (192, 48, 2, 2), (48, 192, 1, 1), (48, 192, 1, 1)
    ]  # fmt: skip
    maps = neck([torch.randn(2, 192, 4, 4) for _ in range(4)])
    assert [tuple(m.shape) for m in maps] == [(2, 48, s, s) for s in (16, 8, 4, 2)]


@pytest.mark.parametrize(
    'config',
    [
        dict(type='MIMViT', arch=dict(embed_dim=32, depth=2, num_heads=2), img_size=64),
        dict(
            type='MIMSwin', arch=dict(embed_dim=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1)),
            img_size=64, window_size=2, out_indices=(-1,), small_maps='pad',
        ),
        dict(
            type='MIMHiera', arch=dict(embed_dim=8, depths=(1, 1, 1, 1), num_heads=1),
            img_size=64, q_pool=2, out_indices=(3,),
        ),
    ],
    ids=lambda config: config['type'],
)  # fmt: skip
@pytest.mark.parametrize('neck', ['SimpleFeaturePyramid', 'BlockPyramid'])
def test_both_necks_take_every_family_through_the_registry(neck, config):
    backbone = MODELS.build(config)
    neck = MODELS.build(
        dict(type=neck, in_channels=backbone.num_features[-1], patch_size=backbone.stride)
    )
    maps = neck(backbone(torch.randn(2, 3, 64, 96)) * 4)  # BlockPyramid: one map a level
    assert [tuple(m.shape[-2:]) for m in maps] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    sum(m.square().sum() for m in maps).backward()
    assert all(p.grad is not None for p in neck.parameters())
