"""Layer-wise learning-rate decay for any backbone that answers `get_layer_depth`.

    lr(depth) = lr * decay^(num_depths - 1 - depth)        BEiT, arXiv 2106.08254, appendix

Parameters outside a backbone (necks, heads) keep the full rate. No other code parses names.
"""

from collections.abc import Collection
from typing import Any

import torch.nn as nn
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS

from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mim_backbones.training.distributed import undistributed

PARAMWISE = ('layer_decay', 'backbone_lr_mult', 'decayed', 'exempt', 'full_rate')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor:
    """Builds the optim wrapper with one parameter group per (rate, weight decay).

    Args:
        optim_wrapper_cfg: mmengine's config, with `optimizer` and any wrapper type.
        paramwise_cfg: any of
            layer_decay (1.0): the factor from one depth to the one before;
            backbone_lr_mult (1.0): a factor on every rate of a backbone;
            decayed (none): parts of names, between their dots, to decay although
                `no_weight_decay` exempts them;
            exempt (none said): parts of names that are not decayed, and nothing else is exempt,
                in place of the rule below;
            full_rate (none): parts of names that keep the full rate in spite of their depth.

    Weight decay is 0 for one-dimensional parameters, biases and what the backbone's
    `no_weight_decay` names: tokens and position tables. Published code differs, some of it
    against its authors' intent; the same groups as there come from

        fine-tuning of SimMIM's ViT, BEiT, BEiT v2   decayed=['relative_position_bias_table']
        fine-tuning of SimMIM's Swin                 full_rate=['absolute_pos_embed']
        pre-training of SimMIM                       decayed=['relative_position_bias_table'],
                                                     for its ViT also 'mask_token',
                                                     for SwinV2 ['cpb_mlp', 'logit_scale']
        pre-training of MAE                          decayed=['cls_token', 'mask_token']
        pre-training of BEiT, BEiT v2                decayed=['relative_position_bias_table',
                                                              'mask_token']
        ViTDet                                       exempt=['norm1', 'norm2', 'pos_embed'],
                                                     for ViT-H exempt=[]

    Raises:
        TypeError: paramwise_cfg has another key, or both `decayed` and `exempt`.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = dict(self.wrapper_cfg.pop('optimizer'))
        self.paramwise = dict(paramwise_cfg or {})
        unknown = sorted(set(self.paramwise) - set(PARAMWISE))
        if unknown:
            raise TypeError(
                f'LayerDecayConstructor: unknown paramwise_cfg {unknown}; '
                f'known: {", ".join(PARAMWISE)}'
            )
        if self.paramwise.get('decayed') and self.paramwise.get('exempt') is not None:
            raise TypeError(
                'LayerDecayConstructor: decayed and exempt exclude each other; '
                'exempt names all that is not decayed'
            )

    def __call__(self, model: nn.Module) -> OptimWrapper:
        groups = parameter_groups(
            undistributed(model),
            self.optimizer_cfg['lr'],
            self.optimizer_cfg.get('weight_decay', 0.0),
            **self.paramwise,
        )
        MMLogger.get_current_instance().info(group_table(groups))
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, 'params': groups})
        wrapper = {'type': 'OptimWrapper', **self.wrapper_cfg}
        return OPTIM_WRAPPERS.build(wrapper, default_args={'optimizer': optimizer})


def parameter_groups(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    backbone_lr_mult: float = 1.0,
    decayed: Collection[str] = (),
    full_rate: Collection[str] = (),
    exempt: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Groups for a torch optimizer: params, lr, weight_decay, and lr_scale, names for reading.

    decayed, full_rate, exempt: see `LayerDecayConstructor`.
    """
    backbones = {
        f'{name}.' if name else '': module
        for name, module in model.named_modules()
        if isinstance(module, MIMBackbone)
    }
    by_rule = {
        f'{prefix}{name}'
        for prefix, module in backbones.items()
        for name in module.no_weight_decay()
        if not named(name, decayed)
    }
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        prefix = next((p for p in backbones if name.startswith(p)), None)
        scale = 1.0
        if prefix is not None:
            depth, count = backbones[prefix].get_layer_depth(name, prefix)
            depth = count - 1 if named(name, full_rate) else depth
            scale = backbone_lr_mult * layer_decay ** (count - 1 - depth)
        if exempt is None:
            decays = parameter.ndim > 1 and not name.endswith('.bias') and name not in by_rule
        else:
            decays = not named(name, exempt)
        decay = weight_decay if decays else 0.0
        group = groups.setdefault(
            (scale, decay),
            {
                'params': [],
                'names': [],
                'lr': lr * scale,
                'lr_scale': scale,
                'weight_decay': decay,
            },
        )
        group['params'].append(parameter)
        group['names'].append(name)
    return [groups[key] for key in sorted(groups)]


def named(name: str, parts: Collection[str]) -> bool:
    """Whether one of `parts` stands between dots of a parameter's name: 'norm1', 'fpn1.1'."""
    return any(f'.{part}.' in f'.{name}.' for part in parts)


def group_table(groups: list[dict[str, Any]]) -> str:
    """One line per group: rate, weight decay, number of parameters and the first name."""
    lines = ['parameter groups:   lr         decay   tensors  values      first']
    for group in groups:
        values = sum(p.numel() for p in group['params'])
        lines.append(
            f'{"":18}  {group["lr"]:.3e}  {group["weight_decay"]:<6g}  {len(group["params"]):>7}  '
            f'{values:>10,}  {group["names"][0]}'
        )
    return '\n'.join(lines)
