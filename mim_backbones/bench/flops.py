"""Floating-point operations of a call, counted as it runs, and the matrix products among them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

Shape = tuple[int, ...]
aten = torch.ops.aten


class Product(NamedTuple):
    """(M, K) @ (K, N), and whether the rows of each factor lie in memory one after the other."""

    m: int
    k: int
    n: int
    left_rows: bool = True
    right_rows: bool = True

    @property
    def flops(self) -> int:
        return 2 * self.m * self.k * self.n


@dataclass
class Work:
    """What a call computes.

    Attributes:
        flops: multiplications and additions of its products and convolutions.
        products: how often each 2-D product is taken.
    """

    flops: int = 0
    products: Counter[Product] = field(default_factory=Counter)


def count_flops(call: Callable[[], object]) -> Work:
    """Run `call` once and count."""
    work = Work()
    counter = FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION)
    with counter, _Products(work.products):
        call()
    work.flops = counter.get_total_flops()
    return work


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(
    _: Shape, query: Shape, key: Shape, value: Shape, *__: Any, **___: Any
) -> int:
    # Two gradients for each of the two products. What the kernel computes again is no progress.
    return 2 * sdpa_flop_count(query, key, value)


# torch counts the fused attention of GPUs only.
CPU_ATTENTION = {
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


class _Products(TorchDispatchMode):
    """Counts 2-D products."""

    def __init__(self, found: Counter[Product]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func.overloadpacket in (aten.mm, aten.addmm):
            left, right = args[-2:]
            left_rows, right_rows = (factor.stride(-1) == 1 for factor in (left, right))
            (m, k), n = left.shape, right.shape[1]
            self.found[Product(m, k, n, left_rows, right_rows)] += 1
        return func(*args, **(kwargs or {}))
