"""Query, key and value biases between their two layouts: one joint vector, or q and v alone.

BEiT has no key bias. A joint bias goes into that layout only if its key part is zero: dropping a
trained one silently is the trap of MAE-Lite's fine-tuning with relative positions.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

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
