"""What features become before a student is compared with them: no weights, no statistics kept.

x is (B, C, ...): channels second, any positions behind; the result has its shape. The published
methods differ in these, and some apply several in a row.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def layer(x: Tensor, unbiased: bool = False, eps: float = 1e-6) -> Tensor:
    """(x - mean) / sqrt(var + eps) of the channels of each position: LayerNorm without affine.

    Args:
        unbiased: divide the variance by C - 1 (dBOT, as MAE does for pixels), not by C (data2vec,
            Feature Distillation).
        eps: 1e-6 in dBOT, 1e-5 where the published code calls PyTorch's LayerNorm.
    """
    variance, mean = torch.var_mean(x, dim=1, correction=int(unbiased), keepdim=True)
    return (x - mean) / (variance + eps).sqrt()


def instance(x: Tensor, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) of each channel over the positions of an image.

    Takes away what all positions share: behind a ReLU, the largest part of a CNN's features.
    """
    positions = tuple(range(2, x.ndim))
    variance, mean = torch.var_mean(x, dim=positions, correction=0, keepdim=True)
    return (x - mean) / (variance + eps).sqrt()


def l2(x: Tensor) -> Tensor:
    """Vectors of length 1."""
    return F.normalize(x, dim=1)


NORMS: dict[str, Callable[..., Tensor]] = {
    'none': lambda x: x, 'layer': layer, 'l2': l2, 'instance': instance,
}  # fmt: skip
# Of several positions at once: a vector of the whole image has none.
OF_POSITIONS = ('instance',)
