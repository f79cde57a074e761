"""How many matrix products a second this machine does: the limit a model is held against."""

from collections.abc import Iterable
from dataclasses import dataclass
from time import perf_counter

import torch

from mim_backbones.bench.flops import Size

SQUARES: tuple[Size, ...] = ((1024, 1024, 1024), (2048, 2048, 2048))
BURST = 0.1  # seconds: long against the clock and a GPU's queue, short against a training step


@dataclass
class Product:
    """(M, K) @ (K, N) in one dtype on one device, `repeats` times a burst."""

    size: Size
    dtype: torch.dtype
    device: str
    repeats: int = 1

    def __post_init__(self) -> None:
        m, k, n = self.size
        self.left = torch.randn(m, k, dtype=self.dtype, device=self.device)
        self.right = torch.randn(k, n, dtype=self.dtype, device=self.device)
        self.out = self.left.new_empty(m, n)

    def rate(self) -> float:
        """Flop/s of one burst."""
        begin = perf_counter()
        for _ in range(self.repeats):
            torch.mm(self.left, self.right, out=self.out)
        if self.device != 'cpu':
            torch.cuda.synchronize()
        m, k, n = self.size
        return 2 * m * k * n * self.repeats / (perf_counter() - begin)


def fastest_product(own: Iterable[Size], dtype: torch.dtype, device: str) -> Product:
    """The fastest of two large squares and the sizes in `own`, with `repeats` set to fill a burst.

    own: sizes a model uses, so that the limit is not below what its own products reach.
    """
    best, best_rate = None, 0.0
    for size in dict.fromkeys((*SQUARES, *own)):
        product = Product(size, dtype, device)
        product.rate()  # the first call chooses a kernel
        rate = max(product.rate() for _ in range(3))
        if rate > best_rate:
            best, best_rate = product, rate
    assert best is not None
    m, k, n = best.size
    best.repeats = max(1, round(BURST * best_rate / (2 * m * k * n)))
    return best
