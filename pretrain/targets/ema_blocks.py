"""data2vec's target: what the last blocks of a slow copy of the student make of the whole image.

    y = n'(1 / K * sum over K blocks of n(x_l))        n: of each block's output, n': of their mean
    weights <- d_t weights + (1 - d_t) student's

paper: arXiv 2202.03555, sections 3.2 and 3.3; norms, read-outs and schedule of the released code
(facebookresearch/data2vec_vision, beit/engine_for_cyclical.py). It leaves the layer norm of each
block on where its commands ask for one of the mean, so that published targets are normed twice.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from copy import deepcopy
from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.backbones.base import check_option
from mim_backbones.backbones.layers.tokens import to_map
from mim_backbones.backbones.vit import MIMViT
from pretrain.registry import MODELS
from pretrain.targets import norms
from pretrain.targets.base import Progress, Student, Target, Wanted
from pretrain.targets.frozen import PRECISIONS
from pretrain.targets.momentum import follow

# By the released names' order, in which they are applied: over batch and positions, over the
# positions of an image, over the channels of a position. All with eps 1e-5.
NORMS = {
    'batch': lambda x: F.batch_norm(x, None, None, training=True),
    'instance': norms.instance,
    'layer': partial(norms.layer, eps=1e-5),
}
READOUTS = ('end', 'fc')


@MODELS.register_module()
class EMABlocks(Target):
    """RGB (B, 3, H, W) in [0, 1] -> features (B, D, h, w) of a slow copy of the student's ViT.

    The copy sees all of the image and is never in train mode: no drop path.

    Args:
        blocks: how many of the last blocks are averaged, or which; negative count from the end.
        readout: 'end', a block's output, or 'fc', what its MLP adds to the stream.
        block_norms: names of `NORMS`, applied in their order to each block's values.
        norms: the same, of the mean.
        decay: d_t.
        start_decay: d_t of the first step where it is annealed.
        anneal_steps: steps over which d_t rises linearly to `decay`; 0: from the start on there.
        last_step: number (from 0) of the last step that moves the copy; None: all do.
        precision: 'fp32' switches autocast off for the copy, as released; 'same' takes the
            student's. The norms are in float32 whatever it is.

    Raises:
        ValueError: no such option, norms in another order, or a decay outside of [0, 1].
    """

    kind = 'features'
    state = 'ema'

    def __init__(
        self,
        blocks: int | Sequence[int] = 6,
        readout: str = 'end',
        block_norms: Sequence[str] = ('layer',),
        norms: Sequence[str] = ('layer',),
        decay: float = 0.9998,
        start_decay: float = 0.999,
        anneal_steps: int = 0,
        last_step: int | None = None,
        precision: str = 'same',
    ) -> None:
        super().__init__()
        check_option('EMABlocks', 'readout', readout, READOUTS)
        check_option('EMABlocks', 'precision', precision, PRECISIONS)
        for name, given in (('block_norms', block_norms), ('norms', norms)):
            if [norm for norm in NORMS if norm in given] != list(given):
                raise ValueError(
                    f'EMABlocks: {name}={tuple(given)}; some of {", ".join(NORMS)}, in that order'
                )
        if not (0 <= decay <= 1 and 0 <= start_decay <= 1):
            raise ValueError(
                f'EMABlocks: decay={decay}, start_decay={start_decay}; both lie in [0, 1]'
            )
        self.blocks = tuple(range(-blocks, 0)) if isinstance(blocks, int) else tuple(blocks)
        self.readout = readout
        self.block_norms, self.norms = tuple(block_norms), tuple(norms)
        self.decay, self.start_decay = decay, start_decay
        self.anneal_steps, self.last_step = anneal_steps, last_step
        self.precision = precision

    def bind(self, student: Student) -> None:
        self.grid, self.stride = student.grid, student.stride

    def start(self, student: nn.Module) -> None:
        """Raises ValueError unless the student is a MIMViT with such blocks."""
        vit = student.backbone
        if not isinstance(vit, MIMViT):
            raise ValueError(f'EMABlocks averages blocks of a MIMViT, not {type(vit).__name__}')
        if not self.blocks or not all(-vit.depth <= block < vit.depth for block in self.blocks):
            raise ValueError(f'EMABlocks: blocks {self.blocks} of {vit.depth}')
        if hasattr(self, 'momentum_encoder'):
            self.momentum_encoder.load_state_dict(vit.state_dict())
            return
        self.width = vit.embed_dim
        self.normalise = deepcopy(student.normalise)
        self.momentum_encoder = deepcopy(vit).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> 'EMABlocks':
        """The copy stays in eval mode."""
        super().train(mode)
        self.momentum_encoder.eval()
        return self

    @torch.no_grad()
    def forward(self, image: Tensor) -> Wanted:
        vit, same = self.momentum_encoder, self.precision == 'same'
        with nullcontext() if same else torch.autocast(image.device.type, enabled=False):
            read = vit.block_tokens if self.readout == 'end' else vit.mlp_branches
            outputs = read(self.normalise(image), self.blocks)
        return Wanted(self.averaged([to_map(x, self.grid, vit.num_prefix) for x in outputs]))

    def averaged(self, outputs: Sequence[Tensor]) -> Tensor:
        """The target (B, D, h, w) of what the blocks said, (B, D, h, w) each, in float32."""
        with torch.autocast(outputs[0].device.type, enabled=False):
            normed = [apply(self.block_norms, x.float()) for x in outputs]
            return apply(self.norms, torch.stack(normed).mean(0))

    def update(self, student: nn.Module, progress: Progress) -> None:
        slow, vit = self.momentum_encoder, student.backbone
        follow(slow, vit, self.decay_at(progress.done - 1, progress.per_epoch))
        for own, new in zip(slow.buffers(), vit.buffers(), strict=True):
            own.copy_(new)  # tables of indices, statistics: nothing to average

    def decay_at(self, step: int, per_epoch: int) -> float:
        """d_t of a step, counted from 0.

        As released: where the annealing ends inside of an epoch, its last value holds until the
        epoch does.
        """
        if self.last_step is not None and step > self.last_step:
            return 1.0
        if step - step % per_epoch >= self.anneal_steps:
            return self.decay
        annealed = min(step, self.anneal_steps - 1)
        rise = annealed * (self.decay - self.start_decay) / self.anneal_steps
        return self.start_decay + rise


def apply(names: Sequence[str], x: Tensor) -> Tensor:
    """x (B, D, h, w) through norms of `NORMS`, one after the other."""
    for name in names:
        x = NORMS[name](x)
    return x
