"""A BEiT or BEiT v2 pre-training checkpoint, ours or the released code's -> the whole model.

The released names are those of a ViT with `lm_head.*`, `cls_pt_layers.*` and, where the branches
share nothing, `cls_pt_norm.*` and `cls_pt_lm_head.*` beside it (microsoft/unilm, beit and beit2).
"""

from typing import Any

import torch
from torch import Tensor

from mim_backbones.backbones.archs import vit_size
from mim_backbones.checkpoints.choose import choose_model
from mim_backbones.checkpoints.load import backbone_config, load_pretrained
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content, Source, open_source
from pretrain.methods.beit import BEiT
from pretrain.registry import MODELS, build

HEADS = ('lm_head.', 'cls_pt_')
# After which block the released models take the patch tokens; no shape shows it.
EARLY_LAYERS = {12: 9, 24: 21}


def load_beit(
    source: Source, early_layers: int | None = None, **overrides: Any
) -> tuple[BEiT, dict[str, Any]]:
    """The model in eval mode, without its tokenizer, and what our checkpoints record ({} else).

    Args:
        early_layers: of BEiT v2, where the file neither says nor has a published size.
        overrides: constructor arguments of the backbone that no shape shows.

    Raises:
        CheckpointError: unreadable, no lm_head in it, weights that do not fit each other, or
            early_layers has to be given.
    """
    content = open_source(source)
    heads = head_weights(content)
    if 'lm_head.weight' not in heads:
        raise CheckpointError(
            f'checkpoint {content.name} has no lm_head: it predicts no tokens; '
            'give the checkpoint of BEiT or BEiT v2 pre-training itself'
        )
    record = content.record or {}
    backbone = {**backbone_config(content, **overrides), 'mask_token': True}
    config = record.get('model') or released_model(content, heads, backbone, early_layers)
    model: BEiT = build(MODELS, {**config, 'backbone': backbone, 'target': None})
    load_pretrained(model.backbone, content)
    load_heads(model, heads, content.name)
    digest = content.tensors.get('state_dict.tokenizer_digest')
    if digest is not None:
        model.tokenizer_digest = digest
    return model.eval(), record


def head_weights(content: Content) -> dict[str, Tensor]:
    """Weights of the prediction heads under our names, which are the released ones."""
    prefix = choose_model(content).prefix.removesuffix('backbone.')
    names = {key: key.removeprefix(prefix) for key in content.tensors if key.startswith(prefix)}
    return {
        name: content.tensors[key]
        for key, name in names.items()
        if name.startswith(HEADS) and not name.endswith('relative_position_index')
    }


def released_model(
    content: Content,
    heads: dict[str, Tensor],
    backbone: dict[str, Any],
    early_layers: int | None,
) -> dict[str, Any]:
    """Constructor arguments read from the shapes, from what the file says, and from habit."""
    codes = len(heads['lm_head.weight'])
    layers = {name.split('.')[1] for name in heads if name.startswith('cls_pt_layers.')}
    if not layers:
        return {'type': 'BEiT', 'codes': codes}
    depth = vit_size(backbone['arch'])['depth']
    early = early_layers or content.said.get('early_layers') or EARLY_LAYERS.get(depth)
    if early is None:
        raise CheckpointError(
            f'checkpoint {content.name}: which block the CLS branch starts from is not in the '
            f'file, and {depth} blocks are no published size; give --early-layers'
        )
    if early > depth:
        raise CheckpointError(
            f'checkpoint {content.name}: early_layers {early} are more than its {depth} blocks'
        )
    return {
        'type': 'BEiTv2',
        'codes': codes,
        'early_layers': early,
        'head_layers': len(layers),
        'shared_lm_head': 'cls_pt_lm_head.weight' not in heads,
    }


def load_heads(model: BEiT, heads: dict[str, Tensor], name: str) -> None:
    """Copy the heads' weights, all of them and no others.

    Raises:
        CheckpointError: a weight too few, too many or of another shape.
    """
    own = {key: value for key, value in model.state_dict().items() if key.startswith(HEADS)}
    missing, surplus = sorted(own.keys() - heads.keys()), sorted(heads.keys() - own.keys())
    if missing or surplus:
        what = f'lacks {missing[0]}' if missing else f'holds {surplus[0]}, which has no place'
        raise CheckpointError(f'checkpoint {name} {what} among its prediction heads')
    for key, value in own.items():
        if value.shape != heads[key].shape:
            raise CheckpointError(
                f'checkpoint {name}: {key} is {tuple(heads[key].shape)}, '
                f'expected {tuple(value.shape)}'
            )
        with torch.no_grad():
            value.copy_(heads[key])
