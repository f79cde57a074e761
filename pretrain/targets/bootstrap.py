"""dBOT's target: what the student of the stage before makes of the whole image.

    y_i = (x_i - mean_C) / sqrt(var_C + 1e-6)        x_i: token i after the teacher's last block

paper: arXiv 2209.03917, section 3; boundaries, norms and first teachers of the released code
(liuxingbin/dbot). At the end of a stage the student becomes the teacher and is drawn anew; the
optimizer keeps its moments.
"""

from bisect import bisect_right
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from itertools import accumulate
from typing import Any

import torch
import torch.nn as nn
from mmengine.dist import broadcast
from torch import Tensor

from mim_backbones.backbones.base import check_option
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.checkpoints.load import load_pretrained
from pretrain.registry import MODELS
from pretrain.targets import norms
from pretrain.targets.base import Progress, Student, Target, Wanted

NORMS = {'none': lambda x: x, 'layer': partial(norms.layer, unbiased=True)}


@MODELS.register_module()
class BootstrapTarget(Target):
    """RGB (B, 3, H, W) in [0, 1] -> features (B, D, h, w) of the teacher; of its CLS token beside.

    The first teacher is the student as it starts. A teacher is never in train mode.

    Args:
        stages: their lengths, in any unit: shares of the training.
        first_depth: blocks of the first teacher; 0: embedded patches and positions. None: all.
        checkpoint: weights of the first teacher, of the student's sizes, in place of the student's.
        norm: 'layer' or 'none', of each token.
        final_norm: whether the teacher's final norm comes before.

    Attributes:
        teacher_model: the teacher's ViT, of whose blocks the first `depth` run.
        stage: int64, of how many ends the student became the teacher.
        seed: int64, what the stages' starts are drawn by.

    Raises:
        ValueError: no such norm, or a length that is not positive.
    """

    kind = 'features'
    state = 'stage'
    whole = True
    stage: Tensor
    seed: Tensor

    def __init__(
        self,
        stages: Sequence[float] = (1, 1),
        first_depth: int | None = None,
        checkpoint: str | None = None,
        norm: str = 'layer',
        final_norm: bool = False,
    ) -> None:
        super().__init__()
        check_option('BootstrapTarget', 'norm', norm, tuple(NORMS))
        if not stages or min(stages) <= 0:
            raise ValueError(f'BootstrapTarget: stages={tuple(stages)}; lengths are positive')
        # The last stage ends with the training, and nothing follows it.
        self.ends = [end / sum(stages) for end in accumulate(stages)][:-1]
        self.first_depth, self.checkpoint = first_depth, checkpoint
        self.files = (checkpoint,) if checkpoint else ()
        self.norm, self.final_norm = norm, final_norm
        self.register_buffer('stage', torch.zeros((), dtype=torch.int64))
        # The same after resuming, whatever was drawn since.
        self.register_buffer('seed', torch.randint(2**31, ()))

    def bind(self, student: Student) -> None:
        self.grid, self.stride = student.grid, student.stride

    def start(self, student: nn.Module) -> None:
        """Raises ValueError unless the student is a MIMViT that can be drawn anew."""
        vit = student.backbone
        if not isinstance(vit, MIMViT) or not vit.num_cls or not hasattr(student, 'draw_again'):
            raise ValueError(
                'BootstrapTarget follows a MIMViT with a CLS token in stages; take model.type=DBOT'
            )
        if not 0 <= (self.first_depth or 0) <= vit.depth:
            raise ValueError(f'BootstrapTarget: first_depth={self.first_depth} of {vit.depth}')
        if not hasattr(self, 'teacher_model'):
            self.width = vit.embed_dim
            self.normalise = deepcopy(student.normalise)
            self.teacher_model = deepcopy(vit).requires_grad_(False).eval()
        self.teacher_model.load_state_dict(vit.state_dict())
        if self.checkpoint:
            load_pretrained(self.teacher_model, self.checkpoint)
        self._choose_depth()

    def train(self, mode: bool = True) -> 'BootstrapTarget':
        """The teacher stays in eval mode."""
        super().train(mode)
        self.teacher_model.eval()
        return self

    @torch.no_grad()
    def forward(self, image: Tensor) -> Wanted:
        vit = self.teacher_model
        (tokens,) = vit.block_inputs(self.normalise(image), (self.depth,))
        tokens = vit.norm(tokens) if self.final_norm else tokens
        with torch.autocast(image.device.type, enabled=False):
            normed = NORMS[self.norm](tokens.float().transpose(1, 2))
        patches = normed[:, :, vit.num_prefix :].unflatten(2, self.grid)
        return Wanted(patches, normed[:, :, 0])

    def update(self, student: nn.Module, progress: Progress) -> None:
        passed = bisect_right(self.ends, progress.share)
        if not passed or progress.done == progress.total:
            return
        # Asked of the weights, which may have gone back over an end.
        if int(self.stage) < passed:
            self.stage.fill_(passed)
            self.teacher_model.load_state_dict(student.backbone.state_dict())
            self._choose_depth()
            broadcast(self.seed)  # all processes draw as the first
            student.draw_again(int(self.seed) + passed)

    def _choose_depth(self) -> None:
        """A number beside the weights: a graph of `torch.compile` is made for it."""
        first = not self.stage and self.first_depth is not None
        self.depth = self.first_depth if first else self.teacher_model.depth

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._choose_depth()
