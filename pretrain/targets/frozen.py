"""A trained network that only answers: no gradients, no statistics, no place in what is saved."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import chain
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from pretrain.teachers.base import Teacher

PRECISIONS = ('fp32', 'bf16', 'same')


class Frozen:
    """Holds a network beside a module instead of in it.

    A plain object on purpose: `state_dict`, `parameters`, DistributedDataParallel and `train()` of
    the module that holds it never see the network. It follows the images to their device.

    Args:
        net: a tokenizer, a teacher.
        precision: 'fp32' switches autocast off: half precision changes the ids of tokens that lie
            between two codes; 'bf16' switches it on, whatever the student computes in; 'same' takes
            the surrounding precision.

    Raises:
        ValueError: no such precision.
    """

    def __init__(self, net: nn.Module, precision: str = 'fp32') -> None:
        if precision not in PRECISIONS:
            raise ValueError(f'precision {precision!r}; known: {", ".join(PRECISIONS)}')
        self.net = net.eval().requires_grad_(False)
        self.precision = precision

    @contextmanager
    def asked(self, image: Tensor) -> Iterator[nn.Module]:
        """The network, on the image's device, in its precision and without gradients."""
        first = next(chain(self.net.parameters(), self.net.buffers()), None)
        if first is not None and first.device != image.device:
            self.net.to(image.device)
        half = self.precision == 'bf16'
        around = torch.autocast(image.device.type, torch.bfloat16 if half else None, enabled=half)
        with torch.no_grad(), nullcontext() if self.precision == 'same' else around:
            yield self.net

    def facts(self) -> dict[str, Any]:
        """How the network is read, as a teacher says of itself."""
        return self.net.facts() if isinstance(self.net, Teacher) else {}

    def fingerprint(self, reading: Mapping[str, Any] | None = None) -> Tensor:
        """SHA-256 of names and values of the weights, (32,) uint8: the same from any file.

        reading: `Target.reading`, by which the answers of the same weights differ.
        """
        words = json.dumps(reading, sort_keys=True) if reading else ''
        digest = hashlib.sha256(words.encode())
        for name, value in sorted(self.net.state_dict().items()):
            digest.update(f'{name} {tuple(value.shape)} {value.dtype}'.encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)
