"""What a timm model says about itself that its weights do not show."""

from typing import Any

import torch.nn as nn

from mim_backbones.backbones.layers.rope import ROPES

# timm's activations by class, under the names that our errors and options use.
ACTIVATIONS = {'GELU': 'gelu', 'GELUTanh': 'gelu_tanh', 'QuickGELU': 'quick_gelu', 'SiLU': 'silu'}
POST_NORM = ('ResPostBlock', 'EvaBlockPostNorm')


def said_by(model: Any) -> dict[str, Any]:
    """Heads, sizes and the kind of its blocks, as the modules of a timm model have them.

    Keys: timm (always True), num_heads, img_size, and behind `timm.`: stage_windows and
    pretrained_window_sizes (Swin, sides in tokens by stage), act, norm_eps, norm_first, rope.
    """
    found: dict[str, Any] = {'timm': True}
    modules = list(model.modules())
    heads = next((int(h) for m in modules if (h := head_count(m))), None)
    if heads is not None and hasattr(model, 'blocks'):
        found['num_heads'] = heads
    size = getattr(getattr(model, 'patch_embed', None), 'img_size', None)
    if size is not None:
        found['img_size'] = tuple(size)
    found.update(windows(model))
    mlps = (m for name, m in model.named_modules() if name.endswith('.mlp') and 'rel' not in name)
    act = next((m.act for m in mlps if hasattr(m, 'act')), None)
    if act is not None:
        found['timm.act'] = activation(act)
    block = next((m for m in modules if isinstance(getattr(m, 'norm1', None), nn.LayerNorm)), None)
    if block is not None:
        found['timm.norm_eps'] = float(block.norm1.eps)
        found['timm.norm_first'] = type(block).__name__ not in POST_NORM
    if getattr(model, 'rope', None) is not None:
        found['timm.rope'] = rotary(model.rope)
    return found


def rotary(rope: nn.Module) -> str | dict[str, Any]:
    """A name of `layers.rope.ROPES`, the arguments of `Rope`, or the class if it computes more."""
    kind = type(rope).__name__
    found: dict[str, Any] = {'theta': float(getattr(rope, 'temperature', None) or 0)}
    if kind == 'RotaryEmbeddingCat' and rope.grid_type == 'index' and not rope.in_pixels:
        if rope.ref_feat_shape:
            found['reference'] = tuple(rope.ref_feat_shape)
    elif kind == 'RotaryEmbeddingDinoV3' and rope.normalize_coords == 'separate':
        if rope.min_period is not None:
            return kind
        found['coordinates'] = 'centred'
    else:
        return kind
    if rope.grid_offset:
        found['offset'] = float(rope.grid_offset)
    if rope.grid_indexing == 'xy':
        found['column_first'] = True
    if rope.rotate_half:
        found['pairs'] = 'halves'
    return next((name for name, known in ROPES.items() if known == found), found)


def head_count(module: nn.Module) -> Any:
    """Heads of an attention module, 0 of others; Hiera calls them so too, its stages otherwise."""
    own = getattr(module, 'num_heads', None) or getattr(module, 'heads', None)
    return own if isinstance(own, int) else 0


def windows(model: Any) -> dict[str, tuple[int, ...]]:
    """Windows of every stage of a Swin, and those of its pre-training (V2; 0: the same)."""
    stages = getattr(model, 'layers', None)
    if stages is None:
        return {}
    first = [stage.blocks[0] for stage in stages if hasattr(stage, 'blocks')]
    if not first or not all(hasattr(block, 'window_size') for block in first):
        return {}
    found = {'timm.stage_windows': tuple(max(block.window_size) for block in first)}
    before = [getattr(block.attn, 'pretrained_window_size', None) for block in first]
    if all(before):
        found['timm.pretrained_window_sizes'] = tuple(int(sides[0]) for sides in before)
    return found


def activation(module: nn.Module) -> str:
    """'gelu', 'gelu_tanh', 'quick_gelu', 'silu', or the name of another class."""
    name = type(module).__name__
    if isinstance(module, nn.GELU) and module.approximate == 'tanh':
        return 'gelu_tanh'
    return ACTIVATIONS.get(name, name)
