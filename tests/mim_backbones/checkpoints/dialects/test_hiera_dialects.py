"""Hiera's dialects: names and shapes of base size cover the whole backbone."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]


def tensors(shapes: Shapes) -> dict[str, Tensor]:
    """One random number a tensor, repeated without copies."""
    return {key: torch.rand(1).expand(shape) for key, shape in shapes.items()}


def both(name: str, out: int, *axes: int) -> Shapes:
    return {f'{name}.weight': (out, *axes), f'{name}.bias': (out,)}


def hiera(width: int = 96, depths: tuple[int, ...] = (2, 3, 16, 3)) -> Shapes:
    """Official names. The first block of a stage takes the narrower width in."""
    shapes = {'pos_embed': (1, 56 * 56, width), **both('patch_embed.proj', width, 3, 7, 7)}
    index = 0
    for stage, depth in enumerate(depths):
        for i in range(depth):
            out = width * 2 if stage and not i else width
            name = f'blocks.{index}'
            shapes |= {
                **both(f'{name}.norm1', width),
                **both(f'{name}.attn.qkv', 3 * out, width),
                **both(f'{name}.attn.proj', out, out),
                **both(f'{name}.norm2', out),
                **both(f'{name}.mlp.fc1', 4 * out, out),
                **both(f'{name}.mlp.fc2', out, 4 * out),
            }
            if out != width:
                shapes |= both(f'{name}.proj', out, width)
            width, index = out, index + 1
    return shapes


def masked(encoder: Shapes, last: int, inner: int) -> Shapes:
    """The MAE: fused maps of two stages, a decoder of plain blocks."""
    return {
        **encoder,
        **both('encoder_norm', last),
        **both('multi_scale_fusion_heads.0', last, 96, 4, 4),
        **both('multi_scale_fusion_heads.1', last, 192, 2, 2),
        **both('decoder_embed', inner, last),
        'mask_token': (1, 1, inner),
        'decoder_pos_embed': (1, 196, inner),
        **both('decoder_blocks.0.attn.qkv', 3 * inner, inner),
        **both('decoder_norm', inner),
        **both('decoder_pred', 768, inner),
    }


BASE = dict(arch='base', img_size=224)
CASES: dict[str, tuple[Callable[[], dict], str, dict]] = {
    'classifier': (
        lambda: {'model_state': tensors(
            hiera() | both('norm', 768) | both('head.projection', 1000, 768))},
        'Hiera', dict(BASE, q_pool=3, fc_norm=True),
    ),
    'masked pre-training': (
        lambda: {'model_state': tensors(masked(hiera(), 768, 512))}, 'Hiera', dict(BASE, q_pool=2),
    ),
    'MAE-Lite': (
        lambda: {'model': tensors({f'module.model.{key}': shape for key, shape in masked(
            hiera(46, (1, 2, 7, 2)), 368, 96).items()})},
        'Hiera', dict(arch='tiny-lite', q_pool=2),
    ),
    'timm': (
        lambda: tensors(hiera() | both('head.norm', 768) | both('head.fc', 1000, 768)),
        'timm Hiera', dict(BASE, fc_norm=True),
    ),
}  # fmt: skip


@pytest.mark.parametrize('case', CASES)
def test_covers_the_whole_backbone(case: str, load) -> None:
    make, dialect, expected = CASES[case]
    config, report = load(make())
    assert report.dialect == dialect
    assert report.covered == 1
    assert report.unexpected == []
    assert {key: config.get(key) for key in expected} == expected
