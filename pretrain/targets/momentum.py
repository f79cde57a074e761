"""The momentum encoder: a slow copy of the student, whose vectors of images are the keys.

    weights <- m weights + (1 - m) student's        m_t = 1 - (1 + cos(pi t / T)) / 2 (1 - m_0)

paper: MoCo v3, arXiv 2104.02057, section 4.1; schedule of the released code
"""

from copy import deepcopy
from math import cos, pi

import torch
import torch.nn as nn
from torch import Tensor

from pretrain.targets.base import Progress, Student, Target, Wanted


class MomentumKeys(Target):
    """An encoder's copy that follows it after every step: image -> `Wanted` (B, width, 1, 1).

    Its batch norms take the statistics of its own batches; only weights follow.

    Args:
        encoder: of the student, image (B, 3, H, W) in [0, 1] -> (B, width).
        width: of a key.
        momentum: m_0, between 0 and 1.

    Raises:
        ValueError: a momentum outside of [0, 1].
    """

    kind = 'features'
    state = 'ema'

    def __init__(self, encoder: nn.Module, width: int, momentum: float) -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise ValueError(f'MomentumKeys: momentum is {momentum}, it must be in [0, 1]')
        self.width = width
        self.momentum = momentum
        self.momentum_encoder = deepcopy(encoder).requires_grad_(False)

    def bind(self, student: Student) -> None:
        self.grid, self.stride = (1, 1), max(student.img_size)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Wanted:
        return Wanted(self.momentum_encoder(image)[..., None, None])

    def start(self, student: nn.Module) -> None:
        follow(self.momentum_encoder, student.encoder, 0.0)

    def update(self, student: nn.Module, progress: Progress) -> None:
        momentum = momentum_at(progress.share, self.momentum)
        follow(self.momentum_encoder, student.encoder, momentum)


@torch.no_grad()
def follow(slow: nn.Module, student: nn.Module, momentum: float) -> None:
    """Weights become `momentum` of themselves and the rest of the student's; 0 copies them.

    Buffers stay: those of batch norms are the copy's own, tables of indices are no numbers to
    average.
    """
    for own, new in zip(slow.parameters(), student.parameters(), strict=True):
        own.mul_(momentum).add_(new * (1 - momentum))


def momentum_at(progress: float, start: float) -> float:
    """The momentum when a share `progress` of the training is done: from `start` to 1."""
    return 1 - (1 + cos(pi * progress)) / 2 * (1 - start)
