"""MILAN's masks: what matters is more likely to stay visible (arXiv 2208.06049, section 3.3).

A frozen teacher says what matters, so that these masks are drawn in the training step, from torch's
generator, which the Runner seeds by step; every other masker works beside the data set.
"""

from math import floor

import torch
from torch import Tensor


def importance_mask(importance: Tensor, ratio: float) -> Tensor:
    """Draw visible places one by one, each in proportion to its importance among those left.

    Args:
        importance: (B, h, w), not negative.
        ratio: share of places to hide, rounded up to whole places.

    Returns:
        (B, h, w) bool, True = hidden, as many in each image.
    """
    weights = importance.flatten(1).float().clamp(min=torch.finfo(torch.float32).tiny)
    count = weights.shape[1]
    visible = torch.multinomial(weights, floor(count * (1 - ratio)))
    hidden = torch.ones_like(weights, dtype=torch.bool).scatter(1, visible, False)
    return hidden.view_as(importance)
