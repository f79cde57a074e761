"""Tensors under our names -> exactly the parameters of one backbone, or the reason why not.

Biases of query, key and value come in two layouts: one joint vector, or q and v alone (BEiT has no
key bias). A joint bias goes into the second only if its key part is zero: dropping a trained one
silently is the trap of MAE-Lite's fine-tuning with relative positions.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.backbones.layers.pos_embed import Grid, Resize

# Parts a backbone may lack though the checkpoint has them, and what that means.
OPTIONAL = (
    (r'mask_token', 'mask token: the backbone has none'),
    (r'cls_token', 'CLS token: the backbone has none'),
    (r'norm\.(weight|bias)', 'final norm: the backbone has none'),
    (r'norm\d\.(weight|bias)', "norm of a stage's output: the backbone has none"),
    (r'fc_norm\.(weight|bias)', 'norm of the pooled feature (classifier)'),
)
RELATIVE = re.compile(r'.*(relative_position_bias_table|rel_pos_[hw])')
LAYER_SCALE = re.compile(r'blocks\.\d+\.gamma_[12]')


@dataclass
class Fitted:
    """What a state dict gives a backbone.

    Attributes:
        state: tensors in the backbone's shapes.
        resized: backbone parameter -> how it came from the file's.
        ignored: reason -> keys (our names).
        fresh: backbone parameters the file lacks that may start fresh (`fresh_parameters`).
        missing: other backbone parameters the file lacks.
        homeless: weights of the file for which the backbone has no place.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    resized: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, list[str]] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    homeless: list[str] = field(default_factory=list)


def fit(
    backbone: MIMBackbone,
    state: dict[str, Tensor],
    leave_out: Sequence[str] = (),
    source_grid: Grid | None = None,
    how: Resize | None = None,
) -> Fitted:
    """Match a state dict in our names with a backbone, name by name.

    Args:
        leave_out: parts of our names ('rel_pos_bias', 'gamma_1') that the caller does without.
        source_grid: patch grid (H, W) of the position tables; None: square.
        how: absolute positions go to another grid; None: as the backbone's own do.

    Raises:
        ValueError: a shape that no resizing explains, or a key bias without a place.
    """
    own = backbone.state_dict()
    result = Fitted()
    kept: dict[str, Tensor] = {}
    unwanted = set(leave_out)
    for key, value in state.items():
        if not unwanted.isdisjoint(key.split('.')):
            result.ignored.setdefault('left out as asked', []).append(key)
        else:
            kept[key] = value
    result.resized.update(fit_qkv_bias(kept, own))
    said = {'source_grid': source_grid, 'how': how}
    kept, tables = backbone.fit_state(kept, **{k: v for k, v in said.items() if v is not None})
    result.resized.update(tables)
    for key, value in kept.items():
        if key not in own:
            reason = next((why for what, why in OPTIONAL if re.fullmatch(what, key)), None)
            if reason is None:
                result.homeless.append(key)
            else:
                result.ignored.setdefault(reason, []).append(key)
        elif value.shape != own[key].shape:
            raise ValueError(
                f'{key} has shape {tuple(value.shape)}, the backbone wants '
                f'{tuple(own[key].shape)}: another architecture'
            )
        elif not value.is_floating_point():
            raise ValueError(f'{key} is {value.dtype}, not floating-point weights')
        else:
            result.state[key] = value
    fresh = fresh_parameters(backbone, kept)
    for key in own:
        if key not in result.state:
            (result.fresh if key in fresh else result.missing).append(key)
    return result


def fresh_parameters(backbone: MIMBackbone, state: dict[str, Tensor]) -> set[str]:
    """What the family says may start fresh, and parts the file lacks that change nothing at first.

    With relative positions of zeros (ViTDet, mmsegmentation's MAE, MAE-Lite's fine-tuning) and a
    layer scale of ones (mmsegmentation's MAE) the backbone computes at first what the checkpoint
    did.
    """
    fresh = set(backbone.fresh_parameters())
    for pattern, neutral in ((RELATIVE, 0.0), (LAYER_SCALE, 1.0)):
        if not any(pattern.fullmatch(key) for key in state):
            fresh |= {
                key
                for key, value in backbone.state_dict().items()
                if pattern.fullmatch(key) and bool((value == neutral).all())
            }
    return fresh


JOINT = '.qkv.bias'
Q, V = '.q_bias', '.v_bias'


def fit_qkv_bias(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, str]:
    """Rewrites the biases of `state` to the layout of `own`, in place; {key of own: how}.

    Raises:
        ValueError: a key bias that is not zero has no place in the backbone.
    """
    changes: dict[str, str] = {}
    for key in own:
        if key.endswith(JOINT) and key not in state:
            stem = key.removesuffix(JOINT)
            if {stem + Q, stem + V} <= state.keys():
                q, v = state.pop(stem + Q), state.pop(stem + V)
                state[key] = torch.cat([q, torch.zeros_like(q), v])
                changes[key] = 'q and v bias joined, key bias zero'
        elif key.endswith(Q) and key not in state:
            stem = key.removesuffix(Q)
            joint = state.get(stem + JOINT)
            if joint is None or joint.ndim != 1 or len(joint) % 3:
                continue
            q, k, v = joint.chunk(3)
            if k.any():
                raise ValueError(
                    f'{stem}{JOINT} has a key bias (up to {float(k.abs().max()):.2g}) that '
                    "qkv_bias='qv' has no place for; build with qkv_bias='joint'"
                )
            del state[stem + JOINT]
            state[stem + Q], state[stem + V] = q, v
            changes[key] = changes[stem + V] = 'from a joint bias whose key part is zero'
    return changes
