"""A recipe's backbone, fitted to a checkpoint: what belongs to the protocol stays the recipe's.

    of the recipe       input size, returned blocks or stages, windows and global blocks, drop path,
                        freezing, pooling of Hiera, padding and norms of Swin
    of either           `SHARED`: what the recipe states counts, the rest is the checkpoint's
    of the checkpoint   everything else: type, sizes, patch, positions, biases, layer scale, ...

Rules where the two meet, in this order:

* `protocol.by_arch` of a recipe maps names of `archs` to dotted options for that size: drop path,
  layer decay, rates. A size it does not name keeps the recipe's.
* Block numbers were written for the recipe's depth. Evenly spaced ones stay evenly spaced, others
  keep their share of the depth (3, 5, 7, 11 of 12 become 7, 11, 15, 23 of 24), else are refused.
* `rel_pos_bias` and `decomposed_rel_pos`: not stated, the checkpoint's are kept; stated, they are
  kept or, where it has none, added at zero; stated as 'none' or False, they are left out, as
  registers are by `num_registers=0`.
* A `layer_scale` of 1 is added where the checkpoint has none: it changes nothing at first.
* `pos_embed='learned'`, where the recipe states it, trains a fixed table too; what has none gets
  none. `pos_embed_size`: a number stated keeps the table at the size of pre-training, to be resized
  in every pass; None resizes it once; not stated, it is the checkpoint's.
* Windows keep their size in pixels. They have no place for CLS: it is dropped. They have none for
  tables of relative positions and for registers either: a checkpoint with those attends globally
  in every block and keeps its CLS token.
* Parts for pre-training and classifying (`UNUSED`) are never built.

What still does not fit is one error before anything is trained.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mim_backbones.backbones.archs import HIERA, SWIN, VIT
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config, ConfigDict

    from downstream.evaluation.job import Job

FAMILIES = {'MIMViT': 'vit', 'MIMSwin': 'swin', 'MIMHiera': 'hiera'}
ARCHS: dict[str, Mapping[str, Any]] = {'vit': VIT, 'swin': SWIN, 'hiera': HIERA}
# The classes' own defaults.
PATCH = {'vit': 16, 'swin': 4, 'hiera': 4}
ARCH = {'vit': 'base', 'swin': 'tiny', 'hiera': 'base'}
IMG_SIZE = 224
# Never the checkpoint's: where the recipe is silent, the class's default counts.
PROTOCOLS = {
    'img_size', 'out_indices', 'drop_path_rate', 'frozen_stages', 'with_cp', 'init_cfg',
    'global_blocks', 'q_pool', 'small_maps', 'output_norm',
}  # fmt: skip
SHARED = {
    'rel_pos_bias', 'decomposed_rel_pos', 'num_registers', 'final_norm', 'cls_token', 'window_size',
}  # fmt: skip
UNUSED = {'mask_token', 'fc_norm'}
# How weights are read from a file, see `load_pretrained`: for `init_cfg`, not for the class.
LOADING = {'weights', 'grid', 'mode', 'antialias', 'offset'}
# What a recipe can do without -> parts of its names in a checkpoint.
PARTS = {
    'rel_pos_bias': ['rel_pos_bias'],
    'decomposed_rel_pos': ['rel_pos_h', 'rel_pos_w'],
    'num_registers': ['register_tokens'],
}


@dataclass(frozen=True)
class Maps:
    """What the fitted backbone returns: channels of each map, and the side of a patch."""

    channels: tuple[int, ...]
    patch_size: int


def fit_backbone(cfg: 'Config', job: 'Job', **changes: Any) -> Maps:
    """Put the backbone of a job's checkpoint into a recipe, in place, under the recipe's protocol.

    Args:
        changes: options of the recipe's backbone that the task sets.

    Raises:
        UserError: checkpoint and protocol contradict each other.
    """
    recorded, checkpoint = job.backbone, job.checkpoint.path if job.checkpoint else None
    family = family_of(recorded)
    rules = dict(cfg.get('protocol') or {}).get('by_arch') or {}
    cfg.merge_from_dict(dict(rules.get(named_arch(recorded), {})))
    recipe = {**cfg.model.backbone.to_dict(), **changes}
    protocol = cfg.get('protocol', {}).get('name', 'the recipe')
    try:
        config = fitted(recipe, recorded, checkpoint) if family else dict(recorded)
        config['type'] = registered(config)
        maps = maps_of(config)
    except (ValueError, TypeError) as error:
        raise UserError(
            f'{architecture_name(dict(recorded))} does not fit protocol {protocol}: {error}'
        ) from error
    cfg.model.backbone = config
    return maps


def fit_neck(neck: 'ConfigDict | list[ConfigDict]', maps: Maps) -> None:
    """Put the channels and the stride of the maps into a neck's config, in place.

    One number stands for the last map, or for maps of equal width; a list for one map each. Necks
    in a row, after the first: the channels stay as they are from one to the next.
    """
    if isinstance(neck, list):
        for each in neck:
            fit_neck(each, maps)
        return
    several = isinstance(neck.in_channels, Sequence)
    neck.in_channels = list(maps.channels) if several else maps.channels[-1]
    if 'patch_size' in neck:
        neck.patch_size = maps.patch_size


def fitted(
    recipe: Mapping[str, Any], recorded: Mapping[str, Any], checkpoint: str | None
) -> dict[str, Any]:
    """Constructor arguments by the rules above.

    Raises:
        ValueError: a rule has no answer.
    """
    family = family_of(recorded)
    if family != family_of(recipe):
        raise ValueError(f'the recipe is made for {family_of(recipe) or "other"} backbones')
    config = {k: v for k, v in recorded.items() if k not in PROTOCOLS | UNUSED}
    if family == 'vit':
        config.pop('window_size', None)  # of pre-training, if it had any
    stated = {k: v for k, v in recipe.items() if k in PROTOCOLS | SHARED}
    config |= {k: v for k, v in stated.items() if k != 'init_cfg'}
    if recipe.get('layer_scale') == 1 and absent(recorded, 'layer_scale'):
        config['layer_scale'] = 1.0
    own = {k: v for k, v in (recorded.get('init_cfg') or {}).items() if k in LOADING}
    start = {'type': 'Pretrained', **recipe.get('init_cfg', {}), **own, 'checkpoint': checkpoint}
    dropped = [key for key in PARTS if key in stated and absent(stated, key)]
    left_out = [name for key in dropped if not absent(recorded, key) for name in PARTS[key]]
    if left_out:
        start['leave_out'] = [*start.get('leave_out', []), *left_out]
    config['init_cfg'] = start
    if family == 'vit':
        _fit_vit(config, recipe, recorded)
    else:
        _fit_stages(config, recorded)
    return config


def _fit_vit(
    config: dict[str, Any], recipe: Mapping[str, Any], recorded: Mapping[str, Any]
) -> None:
    theirs, ours = size_of(recorded)['depth'], size_of(recipe)['depth']
    if config.get('rel_pos_bias') == 'shared' and recorded.get('rel_pos_bias') == 'per_block':
        raise ValueError('it has tables of relative positions in each block, not one for all')
    if config.get('rel_pos_bias', 'none') != 'none' and config.get('decomposed_rel_pos'):
        raise ValueError("relative positions of two kinds, its own and the protocol's")
    if recipe.get('pos_embed') == 'learned' and not absent(config, 'pos_embed'):
        config['pos_embed'] = 'learned'
    if 'pos_embed_size' in recipe:
        pretrained = recorded.get('pos_embed_size') or recorded.get('img_size', IMG_SIZE)
        config['pos_embed_size'] = pretrained if recipe['pos_embed_size'] else None
    if 'out_indices' in config:
        config['out_indices'] = scaled(config['out_indices'], ours, theirs)
    if not config.get('window_size'):
        return
    if config.get('rel_pos_bias', 'none') != 'none' or config.get('num_registers'):
        for key in ('window_size', 'global_blocks', 'cls_token'):
            config.pop(key, None)
        config |= {k: v for k, v in recorded.items() if k == 'cls_token'}
        return
    pixels = config['window_size'] * recipe.get('patch_size', PATCH['vit'])
    patch = config.get('patch_size', PATCH['vit'])
    if pixels % patch:
        raise ValueError(f'its patches of {patch} px do not divide the windows of {pixels} px')
    config['window_size'] = pixels // patch
    config['global_blocks'] = scaled(config.get('global_blocks', ()), ours, theirs)


def _fit_stages(config: dict[str, Any], recorded: Mapping[str, Any]) -> None:
    stages = len(size_of(recorded)['depths'])
    asked = config.get('out_indices', ())
    if asked and not -stages <= min(asked) <= max(asked) < stages:
        raise ValueError(f'it has {stages} stages, the protocol takes maps of {tuple(asked)}')
    if config.get('version') == 2:
        given = recorded.get('pretrained_window_sizes') or [0] * stages
        plans = _windows(recorded, stages)
        config['pretrained_window_sizes'] = tuple(side or own for side, own in zip(given, plans))


def _windows(recorded: Mapping[str, Any], stages: int) -> list[int]:
    """A Swin's windows in pre-training, where a small map may have been one window.

    They normalise the offsets of V2's continuous bias, whatever the windows are now.
    """
    from mim_backbones.backbones.layers.windows import plan_windows

    several = len(recorded.get('out_indices', (-1,))) > 1
    small_maps = recorded.get('small_maps') or ('pad' if several else 'shrink')
    side = recorded.get('img_size', 224)
    height, width = (side, side) if isinstance(side, int) else side
    patch, sizes = recorded.get('patch_size', PATCH['swin']), []
    for stage in range(stages):
        grid = (-(-height // (patch * 2**stage)), -(-width // (patch * 2**stage)))
        sizes.append(plan_windows(grid, recorded.get('window_size', 7), small_maps).size)
    return sizes


def maps_of(config: Mapping[str, Any]) -> Maps:
    """Builds the backbone once; ours without memory for its weights.

    Raises:
        ValueError, TypeError: its class refuses the arguments.
    """
    import torch

    from mim_backbones.registry import MODELS

    with torch.device('meta') if family_of(config) else nullcontext():
        backbone = MODELS.build(dict(config))
    side = config.get('img_size')
    sides = (side, side) if isinstance(side, int) else side or ()
    if any(length % backbone.patch_size for length in sides):
        raise ValueError(f'patches of {backbone.patch_size} px do not divide images of {side} px')
    return Maps(tuple(backbone.num_features), backbone.patch_size)


def absent(options: Mapping[str, Any], key: str) -> bool:
    """Whether the options say, or leave it at, without this part."""
    return options.get(key) in (None, 'none', False, 0)


def registered(config: Mapping[str, Any]) -> str:
    """The type with its scope."""
    kind = str(config.get('type', 'MIMViT'))
    return kind if '.' in kind else f'mim_backbones.{kind}'


def family_of(config: Mapping[str, Any]) -> str:
    """'vit', 'swin' or 'hiera'; '' for a class that is none of ours and comes from none of them."""
    kind = registered(config)
    if kind.rpartition('.')[2] in FAMILIES:
        return FAMILIES[kind.rpartition('.')[2]]
    from mim_backbones.registry import MODELS

    mro = getattr(MODELS.get(kind), '__mro__', ())
    return next((FAMILIES[cls.__name__] for cls in mro if cls.__name__ in FAMILIES), '')


def size_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Width, depth and heads, whether the config names an architecture or spells it out."""
    family = family_of(config)
    arch = config.get('arch', ARCH[family])
    return dict(ARCHS[family][arch]) if isinstance(arch, str) else dict(arch)


def named_arch(config: Mapping[str, Any]) -> str:
    """The name in `archs`; '' for sizes without one."""
    family = family_of(config)
    if not family:
        return ''
    size = {k: tuple(v) if isinstance(v, list) else v for k, v in size_of(config).items()}
    return next((name for name, row in ARCHS[family].items() if row == size), '')


def scaled(blocks: Sequence[int], depth: int, new_depth: int) -> tuple[int, ...]:
    """Block numbers for another depth.

    Raises:
        ValueError: they are not evenly spaced, and not all fall on a block.
    """
    blocks = tuple(i % depth for i in blocks)
    if blocks == spread(depth, len(blocks)):
        if len(blocks) > new_depth:
            raise ValueError(f'it has {new_depth} blocks, the protocol takes {len(blocks)}')
        return spread(new_depth, len(blocks))
    if any((i + 1) * new_depth % depth for i in blocks):
        raise ValueError(f'blocks {blocks} of {depth} have no equals among its {new_depth}')
    return tuple((i + 1) * new_depth // depth - 1 for i in blocks)


def spread(depth: int, count: int) -> tuple[int, ...]:
    """`count` blocks, evenly spaced, the last included: (12, 4) -> (2, 5, 8, 11)."""
    return tuple((i + 1) * depth // count - 1 for i in range(count))


def architecture_name(config: dict[str, Any]) -> str:
    """For people: 'MIMViT tiny/16', 'MIMViT 192x6/8', 'MIMSwin 96x2-2-6-2/4'.

    Width x depth / patch size.
    """
    kind, family = registered(config).rpartition('.')[2], family_of(config)
    if not family:
        return kind
    size = config.get('arch', ARCH[family])
    if not isinstance(size, str):
        depths = size['depths'] if 'depths' in size else [size['depth']]
        size = f'{size["embed_dim"]}x{"-".join(map(str, depths))}'
    kind += ' V2' if config.get('version') == 2 else ''
    return f'{kind} {size}/{config.get("patch_size", PATCH[family])}'
