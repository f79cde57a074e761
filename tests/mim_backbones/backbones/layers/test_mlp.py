from functools import partial

import pytest
import torch
from timm.layers import GluMlp
from timm.layers import SwiGLU as SeparateSwiGLU

from mim_backbones.backbones.layers.mlp import ACTIVATIONS, MLPS, QuickGELU, make_mlp


def test_quick_gelu_by_hand() -> None:
    x = torch.tensor([0.0, 1.0, -2.0])
    # 1 / (1 + exp(-1.702)) and -2 / (1 + exp(3.404))
    torch.testing.assert_close(QuickGELU()(x), torch.tensor([0.0, 0.8457957, -0.0643502]))


@pytest.mark.parametrize('norm_eps', [None, 1e-5])
def test_swiglu_equals_timms_packed_one(norm_eps: float | None) -> None:
    norm = None if norm_eps is None else partial(torch.nn.LayerNorm, eps=norm_eps)
    theirs = GluMlp(8, 24, act_layer=torch.nn.SiLU, gate_last=False, norm_layer=norm)
    ours = make_mlp('swiglu', 8, 12, 'gelu', norm_eps)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(ours(x), theirs(x))


def test_gate_comes_first() -> None:
    theirs = SeparateSwiGLU(8, 12)
    ours = make_mlp('swiglu', 8, 12, 'gelu', None)
    state = theirs.state_dict()
    for part in ('weight', 'bias'):
        gate, value = state.pop(f'fc1_g.{part}'), state.pop(f'fc1_x.{part}')
        state[f'fc1.{part}'] = torch.cat([gate, value])
    ours.load_state_dict(state)
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize('kind', MLPS)
@pytest.mark.parametrize('act', ACTIVATIONS)
@pytest.mark.parametrize('norm_eps', [None, 1e-6])
def test_every_mlp_learns(kind: str, act: str, norm_eps: float | None) -> None:
    mlp = make_mlp(kind, 8, 12, act, norm_eps)
    mlp(torch.randn(4, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in mlp.parameters())
    assert {name.split('.')[0] for name, _ in mlp.named_parameters()} == (
        {'fc1', 'fc2'} if norm_eps is None else {'fc1', 'norm', 'fc2'}
    )
