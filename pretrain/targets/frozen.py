"""A trained network that only answers: no gradients, no statistics, no place in what is saved."""

import hashlib
from contextlib import AbstractContextManager, nullcontext
from itertools import chain

import torch
import torch.nn as nn
from torch import Tensor

PRECISIONS = ('fp32', 'same')


class Frozen:
    """Holds a network beside a module instead of in it.

    A plain object on purpose: `state_dict`, `parameters`, DistributedDataParallel and `train()` of
    the module that holds it never see the network. It follows the images to their device.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = net.eval().requires_grad_(False)

    def beside(self, image: Tensor) -> nn.Module:
        """The network, on the image's device."""
        first = next(chain(self.net.parameters(), self.net.buffers()), None)
        if first is not None and first.device != image.device:
            self.net.to(image.device)
        return self.net


class FrozenTokenizer(Frozen):
    """A tokenizer beside the model that names its tokens.

    Args:
        net: a tokenizer with `codes` and `encode(image) -> ids`.
        precision: 'fp32' switches autocast off, since half precision changes the ids of tokens
            that lie between two codes; 'same' takes the surrounding precision.

    Raises:
        ValueError: no such precision, or no tokenizer.
    """

    def __init__(self, net: nn.Module, precision: str = 'fp32') -> None:
        if precision not in PRECISIONS:
            raise ValueError(f'tokenizer precision {precision!r}; known: {", ".join(PRECISIONS)}')
        if not (hasattr(net, 'codes') and hasattr(net, 'encode')):
            raise ValueError(
                f'{type(net).__name__} is no tokenizer; one has `codes` and `encode(image) -> ids`'
            )
        super().__init__(net)
        self.precision = precision
        self.codes = int(net.codes)

    def __call__(self, image: Tensor) -> Tensor:
        """image (B, 3, H, W) in [0, 1], RGB -> ids (B, h, w) int64."""
        with torch.no_grad(), self._context(image):
            return self.beside(image).encode(image)

    def _context(self, image: Tensor) -> AbstractContextManager:
        if self.precision == 'same':
            return nullcontext()
        return torch.autocast(image.device.type, enabled=False)

    def fingerprint(self) -> Tensor:
        """SHA-256 of the weights, (32,) uint8: the same for the same tokenizer in any file.

        A net that only stands for a tokenizer says its `digest` itself.
        """
        said = getattr(self.net, 'digest', None)
        return fingerprint(self.net) if said is None else said


def fingerprint(net: nn.Module) -> Tensor:
    """SHA-256 of names and values of a state dict, (32,) uint8."""
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(f'{name} {tuple(value.shape)} {value.dtype}'.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)
