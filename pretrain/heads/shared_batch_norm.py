"""Batch normalisation by the statistics of all processes' samples, on GPUs and on CPUs.

torch's SyncBatchNorm takes GPUs alone. Sums go round through an all-reduce whose gradient is one
again, so that several processes train as one with the whole batch.
"""

from typing import Any

import torch
import torch.nn as nn
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor


class SumOfAll(torch.autograd.Function):
    """Sum over all processes; gradients come from whatever each of them does with it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return summed(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return summed(gradient)


def summed(x: Tensor) -> Tensor:
    total = x.clone(memory_format=torch.contiguous_format)
    all_reduce(total)
    return total


class SharedBatchNorm(nn.BatchNorm1d):
    """(B, C) -> (B, C), nn.BatchNorm1d by name and argument, and altogether in eval mode or alone.

    Statistics are in float32 at least; processes may have unequal numbers of samples.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or get_world_size() == 1:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            totals = SumOfAll.apply(torch.cat([wide.sum(0), wide.new_full((1,), len(wide))]))
            count = totals[-1].detach()
            centred = wide - totals[:-1] / count
            variance = SumOfAll.apply(centred.square().sum(0)) / count
            self._follow(totals[:-1].detach() / count, variance.detach(), count)
            normed = centred * (variance + self.eps).rsqrt()
            if self.affine:
                normed = normed * self.weight + self.bias
        return normed.to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Running statistics as torch keeps them: of the unbiased variance."""
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        unbiased = variance * count / (count - 1)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
