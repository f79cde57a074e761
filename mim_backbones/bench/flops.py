"""Floating-point operations of a call, counted as it runs, and the matrix products among them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

Size = tuple[int, int, int]  # (M, K) @ (K, N)
Shape = tuple[int, ...]
aten = torch.ops.aten


@dataclass
class Work:
    """What a call computes.

    Attributes:
        flops: multiplications and additions of its products and convolutions.
        products: flops by the size of each 2-D product.
    """

    flops: int = 0
    products: Counter[Size] = field(default_factory=Counter)

    def largest_products(self, count: int) -> list[Size]:
        """The sizes most of the work is in."""
        return [size for size, _ in self.products.most_common(count)]


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
    """Adds up the flops of 2-D products by size."""

    def __init__(self, found: Counter[Size]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func.overloadpacket in (aten.mm, aten.addmm):
            left, right = args[-2:]
            size = (left.shape[0], left.shape[1], right.shape[1])
            self.found[size] += 2 * size[0] * size[1] * size[2]
        return func(*args, **(kwargs or {}))
