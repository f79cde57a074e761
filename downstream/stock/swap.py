"""A stock config with one of our backbones: the README's two lines, written for any config.

    line 1   the backbone: the stages whose maps the stock backbone gave
    line 2   whoever reads the maps follows their channels: the neck, or the heads

The maps of the stock backbone are measured, its widths looked up nowhere. MIMViT has one width and
one stride: BlockPyramid makes the strides, and SimpleFeaturePyramid takes the place of mmdet's FPN.
A stock layer-decay constructor, which knows the names of its own backbones, becomes ours.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from downstream.stock.meta import META, build_empty
from mim_backbones.backbones.archs import hiera_size, swin_size, vit_size
from mim_backbones.errors import UserError
from mim_backbones.training.preflight import LAYER_DECAY, stock_layer_decay

PACKAGES = ('mmdet', 'mmseg')
PROBE = 256  # pixels per side
# Start values, and convolutions that need compiled ops and change no shape.
WITHOUT = ('init_cfg', 'pretrained', 'dcn', 'stage_with_dcn', 'sac', 'stage_with_sac')
STRIDES = (4, 8, 16, 32)  # of the stages of Swin and Hiera
PATCH = 16
# Who may read maps where there is no neck, and what they call the channels.
HEADS = ('decode_head', 'auxiliary_head', 'bbox_head', 'rpn_head', 'mask_head', 'panoptic_head')
CHANNELS = ('in_channels', 'embed_dim')


@dataclass(frozen=True)
class StockMap:
    """What a backbone gives: channels and stride in pixels."""

    channels: int
    stride: int


@dataclass(frozen=True)
class Family:
    """One of our backbones at one size, as a user would name it."""

    name: str
    arch: Any


FAMILIES = (Family('vit', 'base'), Family('swin', 'tiny'), Family('hiera', 'tiny'))


def swapped(stock: Path, cfg: Config, family: Family, maps: Sequence[StockMap]) -> str:
    """The text of a child config.

    Args:
        stock: the file, which becomes its base.
        cfg: what the file says.
        maps: of the stock backbone, from `measured_maps`.
    """
    model: dict[str, Any] = {}
    if 'pretrained' in cfg.model:
        model['pretrained'] = None
    lines = vit_lines if family.name == 'vit' else stage_lines
    model.update(lines(cfg, family, maps))
    text = f'_base_ = {str(stock)!r}\nmodel = {literal(model)}\n'
    constructor = str((cfg.get('optim_wrapper') or {}).get('constructor')).rpartition('.')[2]
    if constructor in LAYER_DECAY:
        rate = stock_layer_decay(cfg.optim_wrapper)
        ours = {
            'constructor': 'mim_backbones.LayerDecayConstructor',
            'paramwise_cfg': {'_delete_': True, 'layer_decay': rate},
        }
        text += f'optim_wrapper = {literal(ours)}\n'
    return text


def stage_lines(cfg: Config, family: Family, maps: Sequence[StockMap]) -> dict[str, Any]:
    """Swin, Hiera: the stages in the place of the stock backbone's, with their widths."""
    size = swin_size(family.arch) if family.name == 'swin' else hiera_size(family.arch)
    stages = stages_like(maps)
    channels = [size['embed_dim'] * 2**stage for stage in stages]
    kind = 'MIMSwin' if family.name == 'swin' else 'MIMHiera'
    backbone = {
        '_delete_': True, 'type': f'mim_backbones.{kind}', 'arch': family.arch,
        'out_indices': stages,
    }  # fmt: skip
    model = dict(cfg.model)
    neck = model.get('neck')
    if isinstance(neck, Mapping) and 'embed_dim' in neck:  # a pyramid out of one width: not needed
        model['neck'] = None
        return {'backbone': backbone, 'neck': None, **readers(model, maps, channels)}
    return {'backbone': backbone, **readers(model, maps, channels)}


def vit_lines(cfg: Config, family: Family, maps: Sequence[StockMap]) -> dict[str, Any]:
    """MIMViT: a map for each that is read, resampled to its stride."""
    size = vit_size(family.arch)
    width, depth, neck = size['embed_dim'], size['depth'], cfg.model.get('neck')
    backbone: dict[str, Any] = {
        '_delete_': True, 'type': 'mim_backbones.MIMViT', 'arch': family.arch,
    }  # fmt: skip
    if cfg.get('default_scope') == 'mmdet' and depth % 4 == 0:
        blocks = [depth * (i + 1) // 4 - 1 for i in range(4)]
        backbone.update(img_size=1024, cls_token=False, window_size=14, global_blocks=blocks)
    else:
        backbone['img_size'] = 512
    if isinstance(neck, Mapping) and neck.type == 'FPN' and cfg.default_scope == 'mmdet':
        strides = [one.stride for one in maps][neck.get('start_level', 0) :]
        pyramid = {
            '_delete_': True, 'type': 'mim_backbones.SimpleFeaturePyramid', 'in_channels': width,
            'out_channels': neck.out_channels, 'strides': strides,
            'extra_levels': neck.num_outs - len(strides),
        }  # fmt: skip
        return {'backbone': backbone, 'neck': pyramid}
    if len(maps) > 1:
        backbone['out_indices'] = [depth * (i + 1) // len(maps) - 1 for i in range(len(maps))]
    lines = readers(cfg.model, maps, [width] * len(maps))
    strides = [one.stride for one in maps]
    if any(stride != PATCH for stride in strides):
        resample = {
            'type': 'mim_backbones.BlockPyramid', 'in_channels': width, 'strides': strides,
        }  # fmt: skip
        if neck is None:
            lines['neck'] = {**({'_delete_': True} if 'neck' in cfg.model else {}), **resample}
        else:
            first, *rest = neck if isinstance(neck, list) else [neck]
            follow = {**first, **dict(read_neck(first, maps, [width] * len(maps)))}
            lines['neck'] = [resample, follow, *rest]
    return {'backbone': backbone, **lines}


def stages_like(maps: Sequence[StockMap]) -> list[int]:
    """The stage for each stock map: all four in order, else the nearest stride's."""
    plain = len({one.stride for one in maps}) == 1  # a ViT's blocks
    if len(maps) == len(STRIDES) and (plain or maps[0].stride <= STRIDES[0]):
        return [0, 1, 2, 3]
    return [
        min(range(4), key=lambda stage: abs(STRIDES[stage].bit_length() - one.stride.bit_length()))
        for one in maps
    ]


def readers(
    model: Mapping[str, Any], maps: Sequence[StockMap], channels: Sequence[int]
) -> dict[str, Any]:
    """What changes in whoever reads the backbone's maps.

    Args:
        channels: of each map of ours.
    """
    neck = model.get('neck')
    if isinstance(neck, list) and neck:
        first, *rest = neck
        return {'neck': [{**first, **read_neck(first, maps, channels)}, *rest]}
    if neck:
        return {'neck': read_neck(neck, maps, channels)}
    changed = {}
    for name in HEADS:
        head = model.get(name)
        if isinstance(head, list):  # a list replaces: each is said whole
            changed[name] = [{**one, **read_head(one, maps, channels)} for one in head]
        elif head:
            changed[name] = read_head(head, maps, channels)
    return {name: head for name, head in changed.items() if head}


def read_neck(
    neck: Mapping[str, Any], maps: Sequence[StockMap], channels: Sequence[int]
) -> dict[str, Any]:
    key = next((key for key in CHANNELS if key in neck), None)
    return {key: like(neck[key], maps, channels)} if key else {}


def read_head(
    head: Mapping[str, Any], maps: Sequence[StockMap], channels: Sequence[int]
) -> dict[str, Any]:
    """mmseg's heads say which maps they read (`in_index`); some hold the head that does."""
    inner = {
        key: read_head(value, maps, channels)
        for key, value in head.items()
        if isinstance(value, Mapping) and 'in_index' in value
    }
    if 'in_channels' not in head:
        return inner
    index = head.get('in_index')
    width: Any
    if isinstance(index, int):
        width = channels[index]
    elif isinstance(index, Sequence) and isinstance(head['in_channels'], Sequence):
        width = [channels[i] for i in index]
    else:
        width = like(head['in_channels'], maps, channels)
    changed = {**inner, 'in_channels': width}
    if head.get('c1_in_channels') == maps[0].channels:  # DeepLab V3+: the first map beside
        changed['c1_in_channels'] = channels[0]
    if head.get('num_convs') == 0:  # nothing between what comes in and what is classified
        changed['channels'] = width
    return changed


def like(given: Any, maps: Sequence[StockMap], channels: Sequence[int]) -> Any:
    """Our channels in the place of `given`: by the width (YOLO's neck counts from the last map);
    by position in a list that has widths no map has."""
    ours = {one.channels: width for one, width in zip(maps, channels, strict=True)}
    if isinstance(given, Sequence):
        if len(given) == len(channels) and (len(ours) < len(maps) or not set(given) <= set(ours)):
            return list(channels)
        return [ours.get(width, width) for width in given]
    return ours.get(given, given)


def measured_maps(cfg: Config) -> list[StockMap]:
    """The maps of a config's own backbone, measured on the meta device.

    Raises:
        UserError: there is no one backbone that turns an image into maps; says what there is.
    """
    backbone = (cfg.get('model') or {}).get('backbone')
    if not isinstance(backbone, Mapping):
        raise UserError('no backbone at model.backbone')
    options = {key: value for key, value in backbone.items() if key not in WITHOUT}
    size = options.get('img_size', PROBE)
    size = size if isinstance(size, int) else size[0]
    try:
        built = build_empty(cfg, copy.deepcopy(options))
        with META, torch.no_grad():
            found = built(torch.zeros(1, options.get('in_channels', 3), size, size))
    except Exception as error:  # foreign code, of any age
        why = ' '.join(str(error).split())[:90]
        raise UserError(f'its own backbone {backbone.type} does not run: {why}') from error
    found = list(found.values()) if isinstance(found, dict) else found
    found = [found] if isinstance(found, torch.Tensor) else list(found)
    if not all(isinstance(one, torch.Tensor) and one.ndim == 4 for one in found):
        raise UserError(f'{backbone.type} gives more than maps (tokens, branches)')
    return [StockMap(one.shape[1], size // max(1, one.shape[-1])) for one in found]


def literal(node: Any) -> str:
    """A value as text configs write it."""
    if isinstance(node, Mapping):
        if all(isinstance(key, str) and key.isidentifier() for key in node):
            return f'dict({", ".join(f"{key}={literal(value)}" for key, value in node.items())})'
        return f'{{{", ".join(f"{key!r}: {literal(value)}" for key, value in node.items())}}}'
    if isinstance(node, list):
        return f'[{", ".join(map(literal, node))}]'
    if isinstance(node, tuple):
        return f'({"".join(f"{literal(value)}, " for value in node)})'
    return repr(node)
