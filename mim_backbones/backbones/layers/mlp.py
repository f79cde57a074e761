"""The MLPs of transformer blocks, and their activations by name."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), OpenAI's approximation of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    'gelu': nn.GELU,
    'gelu_tanh': partial(nn.GELU, approximate='tanh'),  # JAX's own, hence SigLIP's
    'quick_gelu': QuickGELU,  # OpenAI's CLIP
    'silu': nn.SiLU,
    'relu': nn.ReLU,
}


class Mlp(nn.Module):
    """Linear, activation, linear.

    Args:
        dim, hidden: widths.
        act: a name of `ACTIVATIONS`.
        norm_eps: of a LayerNorm before the second layer; None leaves it out.
    """

    def __init__(
        self, dim: int, hidden: int, act: str = 'gelu', norm_eps: float | None = None
    ) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = ACTIVATIONS[act]()
        self.norm = nn.Identity() if norm_eps is None else nn.LayerNorm(hidden, eps=norm_eps)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.norm(self.act(self.fc1(x))))


class SwiGLU(nn.Module):
    """silu(gate) * value between two linear layers (arXiv 2002.05202).

    `fc1` holds the weights of the gate, then those of the value: one product. Sources with a
    matrix for each (EVA-02, DINOv3) are joined when they are loaded.

    Args:
        dim: width.
        hidden: width of the gate, and of the value.
        norm_eps: of a LayerNorm before the second layer (EVA-02's base and large); None: without.
    """

    def __init__(self, dim: int, hidden: int, norm_eps: float | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 2 * hidden)
        self.norm = nn.Identity() if norm_eps is None else nn.LayerNorm(hidden, eps=norm_eps)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.fc1(x).chunk(2, dim=-1)
        return self.fc2(self.norm(F.silu(gate) * value))


MLPS = ('plain', 'swiglu')


def make_mlp(kind: str, dim: int, hidden: int, act: str, norm_eps: float | None) -> nn.Module:
    """kind: one of `MLPS`; act is the plain one's."""
    assert kind in MLPS, kind
    return SwiGLU(dim, hidden, norm_eps) if kind == 'swiglu' else Mlp(dim, hidden, act, norm_eps)
