"""Positions at another size than the file's: each source's own rule, once, and said."""

import math

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim_backbones import MIMViT, from_checkpoint, load_pretrained
from mim_backbones.checkpoints.load import backbone_config
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content
from mim_backbones.checkpoints.timm_config import said_by

TINY = {'embed_dim': 32, 'depth': 2, 'num_heads': 2}
SMALL = dict(embed_dim=32, depth=2, num_heads=2, patch_size=8)


def vit(**options) -> MIMViT:
    backbone = MIMViT(**{'arch': TINY, 'img_size': 64, 'patch_size': 8, **options}).eval()
    for parameter in backbone.parameters():
        nn.init.normal_(parameter, 0.05, 0.3)
    return backbone


def randomised(model: nn.Module) -> nn.Module:
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.05, 0.3)
    return model.eval()


def dino_positions(table: Tensor, side: int) -> Tensor:
    """What DINO's interpolate_pos_encoding does, written down: scale by the new side plus 0.1."""
    own = math.isqrt(table.shape[1] - 1)
    maps = table[:, 1:].reshape(1, own, own, -1).permute(0, 3, 1, 2)
    scale = (side + 0.1) / own
    new = F.interpolate(maps, scale_factor=(scale, scale), mode='bicubic')
    return torch.cat([table[:, :1], new.flatten(2).transpose(1, 2)], dim=1)


@pytest.mark.parametrize('size', [40, 96, 112])
@pytest.mark.parametrize('name', ['vit_tiny_patch16_224', 'vit_small_patch14_reg4_dinov2'])
def test_timm_at_another_size(name: str, size: int) -> None:
    theirs = randomised(timm.create_model(name, img_size=64, **SMALL))
    # A copy of what it was made with, before timm resizes its own table in place.
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    content = Content(f'timm:{name}', state, said_by(theirs))
    at_load, report = from_checkpoint(content, img_size=size)
    at_run, _ = from_checkpoint(content)
    theirs.set_input_size(img_size=(size, size))
    image = torch.randn(1, 3, size, size)
    (expected,) = theirs.forward_intermediates(image, indices=[1], intermediates_only=True)
    for backbone in (at_load, at_run):
        found = backbone.eval().intermediates(image, (-1,))[0]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert report.resizing == 'bicubic, antialiased'
    assert 'positions  bicubic, antialiased' in report.as_text()


@pytest.mark.parametrize('head', [{}, {'head.weight': torch.zeros(5, 32)}])
def test_a_bare_plain_vit_resizes_as_mae_and_as_asked(head: dict) -> None:
    """Fine-tuned MAE and DeiT have timm's names; their own code has no antialias."""
    state = {**vit().state_dict(), **head}
    assert from_checkpoint(state, num_heads=2, img_size=32)[1].resizing.endswith(
        'without antialias'
    )
    _, report = from_checkpoint(state, num_heads=2, img_size=32, antialias=True)
    assert report.resizing == 'bicubic, antialiased'


def test_dino_resizes_as_dino_does() -> None:
    source = vit()
    file = {'teacher': {f'backbone.{key}': value for key, value in source.state_dict().items()}}
    backbone, report = from_checkpoint(file, num_heads=2, img_size=120)
    assert report.dialect == 'DINO'
    assert report.resizing == 'bicubic, without antialias, offset 0.1'
    expected = dino_positions(source.pos_embed, 15)
    torch.testing.assert_close(backbone.pos_embed, expected, atol=1e-6, rtol=0)
    plain, _ = from_checkpoint(file, num_heads=2, img_size=120, offset=0.0)
    assert (plain.pos_embed - expected).abs().max() > 1e-3


def test_dinov2_antialiases_where_it_has_registers() -> None:
    for registers, said in ((0, 'without antialias, offset 0.1'), (4, 'antialiased')):
        state = vit(layer_scale=1.0, num_registers=registers, mask_token=True).state_dict()
        state['mask_token'] = state['mask_token'][0]
        new = {key.replace('gamma_1', 'ls1.gamma').replace('gamma_2', 'ls2.gamma'): value
               for key, value in state.items()}  # fmt: skip
        _, report = from_checkpoint(new, num_heads=2, img_size=32)
        assert report.dialect.startswith('DINOv2')
        assert report.resizing == f'bicubic, {said}'


def test_what_is_asked_for_counts() -> None:
    state = vit().state_dict()
    _, report = from_checkpoint(state, num_heads=2, img_size=32)
    assert report.resizing == 'bicubic, without antialias'  # MAE's
    asked, report = from_checkpoint(
        state, num_heads=2, img_size=32, mode='bilinear', antialias=True
    )
    assert report.resizing == 'bilinear, antialiased'
    maps = state['pos_embed'][:, 1:].reshape(1, 8, 8, -1).permute(0, 3, 1, 2)
    wanted = F.interpolate(maps, size=(4, 4), mode='bilinear', antialias=True)
    torch.testing.assert_close(asked.pos_embed[:, 1:], wanted.flatten(2).transpose(1, 2))
    assert asked.pos_resize.antialias  # at run time too
    backbone = vit(img_size=32)
    assert load_pretrained(backbone, state, antialias=True).resizing == 'bicubic, antialiased'
    backbone = vit(img_size=32, init_cfg=dict(type='Pretrained', checkpoint=state, mode='nearest'))
    backbone._is_init = False
    backbone.init_weights()
    torch.testing.assert_close(backbone.pos_embed[:, 1:], nearest(state['pos_embed']))
    with pytest.raises(CheckpointError, match="mode='cubic'; known: bicubic, bilinear, nearest"):
        from_checkpoint(state, num_heads=2, mode='cubic')
    with pytest.raises(CheckpointError, match="mode='nearest' with antialias=True"):
        from_checkpoint(state, num_heads=2, mode='nearest', antialias=True)


def nearest(table: Tensor) -> Tensor:
    maps = table[:, 1:].reshape(1, 8, 8, -1)[:, ::2, ::2]
    return maps.reshape(1, 16, -1)


def test_a_backbone_keeps_the_rule_it_was_configured_with() -> None:
    source = vit(pos_resize=dict(antialias=True))
    backbone = vit(img_size=32, pos_resize=dict(antialias=True))
    report = load_pretrained(backbone, source.state_dict())
    assert report.resizing == 'bicubic, antialiased'
    image = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(vit_like(backbone, source)(image), source(image))


def vit_like(backbone: MIMViT, source: MIMViT) -> MIMViT:
    rest = {k: v for k, v in source.state_dict().items() if k != 'pos_embed'}
    backbone.load_state_dict(rest, strict=False)
    return backbone.eval()


def test_nothing_is_said_where_nothing_was_resized() -> None:
    _, report = from_checkpoint(vit().state_dict(), num_heads=2)
    assert report.resizing == ''


@pytest.mark.parametrize('grid', [(6, 8), (8, 6), (4, 9)])
def test_a_grid_is_the_size_the_backbone_is_made_for(grid: tuple[int, int]) -> None:
    source = vit(img_size=(grid[0] * 8, grid[1] * 8))
    backbone, report = from_checkpoint(source.state_dict(), grid=grid, num_heads=2)
    assert backbone.grid == grid
    assert report.resized == {}
    image = torch.randn(1, 3, grid[0] * 8, grid[1] * 8)
    torch.testing.assert_close(backbone.eval()(image)[0], source(image)[0])
    assert backbone_config(source.state_dict(), grid=grid, num_heads=2)['img_size'] == (
        grid[0] * 8, grid[1] * 8,
    )  # fmt: skip


def test_a_grid_of_relative_tables() -> None:
    source = vit(img_size=(32, 48), pos_embed='none', rel_pos_bias='per_block')
    backbone, report = from_checkpoint(source.state_dict(), grid=(4, 6))
    assert backbone.grid == (4, 6)
    assert report.resized == {}


@pytest.mark.parametrize('size', [48, 64, 88])
def test_vitdet_resizes_its_stored_table_once(size: int) -> None:
    """A 7 x 7 table of the pre-training beside windows for 64 px, as detectron2 keeps it."""
    options = dict(
        cls_token=False, window_size=4, global_blocks=(1,), decomposed_rel_pos=True,
        pos_embed_size=56,
    )  # fmt: skip
    source = vit(**options)
    assert source.pos_embed.shape == (1, 49, 32)
    table = torch.cat([torch.randn(1, 1, 32), source.pos_embed.detach()], dim=1)
    state = {**source.state_dict(), 'pos_embed': table}
    file = {'model': {f'backbone.net.{key}': value for key, value in state.items()}}
    backbone, report = from_checkpoint(file)
    assert report.dialect == 'detectron2 ViTDet'
    assert torch.equal(backbone.pos_embed, table[:, 1:])
    maps = table[:, 1:].reshape(1, 7, 7, 32).permute(0, 3, 1, 2)
    side = size // 8
    wanted = F.interpolate(maps, size=(side, side), mode='bicubic', align_corners=False)
    image = torch.zeros(1, 3, size, size)
    found = backbone.embed_patches(image) - backbone.patch_embed(image).flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, wanted.flatten(2).transpose(1, 2), atol=1e-5, rtol=0)
    moved, _ = from_checkpoint(file, img_size=size)
    torch.testing.assert_close(moved.embed_patches(image), backbone.embed_patches(image))
