"""bf16 where the hardware is fast in it, on CPU as on GPU."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.nn as nn
from mmengine.optim import OptimWrapper
from torch.optim import Adam, AdamW

from mim_backbones.registry import OPTIM_WRAPPERS

PRECISIONS = ('auto', 'bf16', 'fp32')


def fast_bf16(device: str) -> bool:
    """Whether bf16 matrix products run in hardware on 'cpu' or 'cuda'."""
    if device == 'cuda':
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(False)
    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, 'get_capabilities') else {}
    return bool(flags.get('avx512_bf16') or flags.get('amx_bf16') or flags.get('amx_tile'))


def autocast(device: str, precision: str = 'auto') -> AbstractContextManager:
    """Autocast to bf16 on `device`, or do nothing.

    Raises:
        ValueError: precision is none of 'auto', 'bf16', 'fp32'.
    """
    if precision not in PRECISIONS:
        raise ValueError(f'precision={precision!r}; known: {", ".join(PRECISIONS)}')
    if precision == 'fp32' or (precision == 'auto' and not fast_bf16(device)):
        return nullcontext()
    return torch.autocast(device, torch.bfloat16)


@OPTIM_WRAPPERS.register_module()
class AutoPrecisionOptimWrapper(OptimWrapper):
    """mmengine's OptimWrapper whose forward passes run under `autocast`.

    bf16 keeps fp32's exponent, so no loss scaling is needed; weights and their updates stay fp32.
    Adam and AdamW update in torch's fused kernel unless the recipe's optimizer names `fused` or
    `foreach`: one pass over weights and moments, less than half the time of the default on a CPU.

    Args:
        precision: 'auto' (bf16 where it is fast), 'bf16' or 'fp32'.
    """

    def __init__(self, precision: str = 'auto', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if precision not in PRECISIONS:
            raise ValueError(f'precision={precision!r}; known: {", ".join(PRECISIONS)}')
        self.precision = precision
        if isinstance(self.optimizer, Adam | AdamW):
            for group in self.optimizer.param_groups:
                if group['fused'] is None and group['foreach'] is None:
                    group['fused'] = True

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with super().optim_context(model), autocast(device, self.precision):
            yield
