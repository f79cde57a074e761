"""The MLPs of contrastive learning: a feature -> the vector that is compared, or predicted."""

from itertools import pairwise

import torch.nn as nn

from pretrain.heads.shared_batch_norm import SharedBatchNorm


def normed_mlp(*widths: int) -> nn.Sequential:
    """(B, first width) -> (B, last width), a linear layer between each two.

    Source: MoCo v3, arXiv 2104.02057, section 4.1 and its released code. No layer has a bias; batch
    norm follows each, then ReLU but for the last, whose norm has no scale and shift.
    """
    layers: list[nn.Module] = []
    for into, out in pairwise(widths):
        last = len(layers) == 3 * (len(widths) - 2)
        layers += [nn.Linear(into, out, bias=False), SharedBatchNorm(out, affine=not last)]
        if not last:
            layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
