"""How many matrix products a second this machine does: the limits a model is held against."""

from collections.abc import Mapping
from time import perf_counter

import torch
from torch import Tensor

from mim_backbones.bench.flops import Product

SQUARE = Product(2048, 2048, 2048)
BURST = 0.1  # seconds: long against the clock and a GPU's queue, short against a training step


class MatmulRate:
    """Matrix products in one dtype on one device, each as often as given.

    Args:
        counts: product -> how often a step takes it.
    """

    def __init__(self, counts: Mapping[Product, int], dtype: torch.dtype, device: str) -> None:
        self.counts = dict(counts)
        self.device = device
        self.factors = {
            product: (
                _factor(product.m, product.k, product.left_rows, dtype, device),
                _factor(product.k, product.n, product.right_rows, dtype, device),
                torch.empty(product.m, product.n, dtype=dtype, device=device),
            )
            for product in self.counts
        }
        self.repeats = 1
        rate = max(self.rate() for _ in range(3))  # the first calls choose kernels
        self.repeats = max(1, round(BURST * rate / sum(product.flops for product in self.counts)))

    def rate(self) -> float:
        """Flop/s of the whole mix: each product is timed once and weighted by its count."""
        flops = taken = 0.0
        for product, count in self.counts.items():
            flops += product.flops * count
            taken += self._seconds(*self.factors[product]) * count
        return flops / taken

    def _seconds(self, left: Tensor, right: Tensor, out: Tensor) -> float:
        begin = perf_counter()
        for _ in range(self.repeats):
            torch.mm(left, right, out=out)
        if self.device != 'cpu':
            torch.cuda.synchronize()
        return (perf_counter() - begin) / self.repeats


def _factor(rows: int, columns: int, by_rows: bool, dtype: torch.dtype, device: str) -> Tensor:
    """Random (rows, columns), its rows or its columns contiguous."""
    shape = (rows, columns) if by_rows else (columns, rows)
    factor = torch.randn(shape, device=device).to(dtype)
    return factor if by_rows else factor.T
