"""Every family takes images of any size; masks want images of whole cells."""

import pytest
import torch
import torch.nn.functional as F

from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.backbones.feature_pyramid import BlockPyramid, SimpleFeaturePyramid
from mim_backbones.backbones.hiera import MIMHiera
from mim_backbones.backbones.swin import MIMSwin
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.errors import UserError

VIT = {'embed_dim': 32, 'depth': 3, 'num_heads': 2}
SWIN = {'embed_dim': 16, 'depths': (1, 2, 2, 1), 'num_heads': (1, 2, 2, 4)}
HIERA = {'embed_dim': 16, 'depths': (1, 2, 2, 1), 'num_heads': 1}


def vit(**options) -> MIMViT:
    return MIMViT(VIT, img_size=32, patch_size=8, mask_token=True, **options)


def swin(**options) -> MIMSwin:
    return MIMSwin(SWIN, img_size=64, window_size=4, mask_token=True, **options)


FAMILIES = {
    'vit': lambda: vit(),
    'vit-sincos': lambda: vit(pos_embed='sincos', out_indices=(0, 2)),
    'vit-shared': lambda: vit(pos_embed='none', rel_pos_bias='shared', qkv_bias='qv'),
    'vit-per-block': lambda: vit(rel_pos_bias='per_block', layer_scale=0.1),
    'vit-registers': lambda: vit(num_registers=4),
    'vitdet': lambda: vit(
        cls_token=False, window_size=3, global_blocks=(1,), decomposed_rel_pos=True
    ),
    'swin': lambda: swin(),
    'swin-dense': lambda: swin(out_indices=(0, 1, 2, 3)),
    'swin-positions': lambda: swin(absolute_pos_embed=True, out_indices=(1, 3)),
    'swinv2': lambda: swin(version=2),
    'swinv2-dense': lambda: swin(version=2, out_indices=(0, 1, 2, 3)),
    'hiera': lambda: MIMHiera(HIERA, img_size=64, mask_token=True),
    'hiera-q2': lambda: MIMHiera(HIERA, img_size=64, q_pool=2, out_indices=(1, 3), mask_token=True),
}
SIZES = [(51, 70), (64, 33), (33, 97), (5, 130), (1, 1)]


def strides(backbone: MIMBackbone) -> list[int]:
    if isinstance(backbone, MIMViT):
        return [backbone.stride] * len(backbone.out_indices)
    return [min(4 * 2**stage, backbone.stride) for stage in backbone.out_indices]


@pytest.mark.parametrize('size', SIZES, ids=str)
@pytest.mark.parametrize('family', FAMILIES)
@torch.no_grad()
def test_maps_cover_images_of_any_size(family: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    backbone = FAMILIES[family]().eval()
    image = torch.randn(2, 3, *size)
    maps = backbone(image)
    for found, stride in zip(maps, strides(backbone), strict=True):
        assert found.shape[-2:] == (-(-size[0] // stride), -(-size[1] // stride))
        assert found.isfinite().all()
    assert backbone.forward_tokens(image).shape[-2:] == maps[-1].shape[-2:]
    assert backbone.forward_pooled(image).isfinite().all()
    # What is added at right and below is zeros: the same as an image that ends in them.
    cell = 32 if isinstance(backbone, MIMHiera) else backbone.patch_size
    padded = F.pad(image, (0, -size[1] % cell, 0, -size[0] % cell))
    for found, expected in zip(maps, backbone(padded), strict=True):
        assert torch.equal(found, expected[..., : found.shape[-2], : found.shape[-1]])


@pytest.mark.parametrize('family', FAMILIES)
def test_gradients_reach_every_pixel_of_an_odd_image(family: str) -> None:
    backbone = FAMILIES[family]()
    for name, parameter in backbone.named_parameters():
        if 'norm' in name:  # V2 starts silent
            torch.nn.init.ones_(parameter)
    image = torch.randn(1, 3, 51, 70, requires_grad=True)
    sum(m.square().sum() for m in backbone(image)).backward()
    assert (image.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize('family', FAMILIES)
def test_a_mask_wants_an_image_of_whole_cells(family: str) -> None:
    backbone = FAMILIES[family]()
    cell = backbone.mask_size
    image, mask = torch.randn(2, 3, 64, 65), torch.zeros(2, 64 // cell, 64 // cell + 1).bool()
    with pytest.raises(UserError, match=f'images of 64x65, .*multiple of {cell}'):
        backbone.forward_tokens(image, mask)


@pytest.mark.parametrize('family', ['vit', 'vit-registers', 'hiera', 'hiera-q2'])
def test_visible_cells_are_those_of_the_image(family: str) -> None:
    backbone = FAMILIES[family]()
    cell = backbone.mask_size
    side = 8 if cell == 8 else 4
    image = torch.randn(2, 3, side * cell, side * cell)
    message = f'2 masks of {side // 2}x{side // 2} cells for 2 images of {side}x{side}, {cell} px'
    with pytest.raises(UserError, match=message):
        backbone.forward_visible(image, torch.zeros(2, side // 2, side // 2).bool())
    with pytest.raises(UserError, match='1 masks of'):
        backbone.forward_visible(image, torch.zeros(1, side, side).bool())
    with pytest.raises(UserError, match='keep of shape'):
        backbone.forward_visible(image, keep=torch.zeros(1, 3).long())
    with pytest.raises(UserError, match='no whole cells'):
        backbone.forward_visible(image[..., 1:], keep=torch.zeros(2, 3).long())
    mask = torch.zeros(2, side, side).bool()
    mask[0, 0, :2] = mask[1, 0, 0] = True
    with pytest.raises(UserError, match=r'from 1 to 2 cells.*exact=True'):
        backbone.forward_visible(image, mask)


@pytest.mark.parametrize('grid', [(32, 43), (3, 5), (1, 1)], ids=str)
def test_pyramids_round_odd_grids_up(grid: tuple[int, int]) -> None:
    (rows, columns), expected = grid, []
    for numerator, denominator in ((4, 1), (2, 1), (1, 1), (1, 2)):
        expected.append(tuple(-(-s * numerator // denominator) for s in (rows, columns)))
    image = torch.randn(2, 8, rows, columns)
    for maps in (SimpleFeaturePyramid(8, 8)((image,)), BlockPyramid(8)([image] * 4)):
        assert [tuple(m.shape[-2:]) for m in maps] == expected


def test_the_last_row_of_an_odd_map_is_pooled_alone() -> None:
    neck = BlockPyramid(1, strides=(32,))
    image = torch.arange(15.0).view(1, 1, 3, 5)
    assert neck([image])[0][0, 0].tolist() == [[6, 8, 9], [11, 13, 14]]
