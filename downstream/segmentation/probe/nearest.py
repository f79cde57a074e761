"""Classes of patches from the most similar patches of training pictures; nothing is learnt.

    f = maps at the first one's grid, each of unit length, concatenated, of unit length
    y = share of each class among a training patch's labelled pixels
    score(query) = sum over its k nearest n of  w_n y_n,   w = softmax(f_query . f_n / temperature)

The rule of in-context scene understanding (arXiv 2306.01667): soft votes, k = 30, temperature 0.02.
The bank takes the same number of patches of every training view, drawn by seed and view among
those with a labelled pixel. Scores are enlarged to the picture before the classes are compared.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import Hook
from mmengine.model import BaseModule
from mmengine.runner import Runner
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from downstream.frozen.views import fixed_views
from downstream.registry import HOOKS, MODELS
from mim_backbones.errors import UserError
from mim_backbones.probes.nearest import QUERIES, nearest
from mim_backbones.training.distributed import undistributed

BANK = ('features', 'classes')


@MODELS.register_module()
class NearestPatches(BaseModule):
    """See the module. A decode head of mmseg's EncoderDecoder, whose training fills the bank.

    Args:
        in_channels: of each map of the backbone.
        neighbours: k.
        bank_size: patches at most.

    Attributes:
        features: (N, D) bf16, of unit length.
        classes: (N, C) float16, rows sum to 1.
    """

    align_corners = False
    # Scores are enlarged as of any head.
    predict, predict_by_feat = BaseDecodeHead.predict, BaseDecodeHead.predict_by_feat

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        neighbours: int = 30,
        temperature: float = 0.02,
        bank_size: int = 1_000_000,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        self.num_classes = self.out_channels = num_classes
        self.neighbours, self.temperature = neighbours, temperature
        self.bank_size, self.ignore_index = bank_size, ignore_index
        self.patches_per_view = bank_size
        # The Runner insists on something to optimise; its gradient is always 0.
        self.nothing = nn.Parameter(torch.zeros(()))
        self.register_buffer('features', torch.zeros(0, sum(in_channels), dtype=torch.bfloat16))
        self.register_buffer('classes', torch.zeros(0, num_classes, dtype=torch.float16))
        self.found: list[tuple[Tensor, Tensor]] = []

    def loss(self, inputs: Sequence[Tensor], data_samples: Sequence[Any], _: Any) -> dict:
        """Takes patches of every view; the loss is 0."""
        found = unit_features(inputs)
        for view, sample in zip(found, data_samples):
            shares, labelled = class_shares(
                sample.gt_sem_seg.data.squeeze(0), view.shape[1:], self.num_classes,
                self.ignore_index,
            )  # fmt: skip
            rows = draw(torch.nonzero(labelled).flatten(), self.patches_per_view, *sample.view)
            features = view.flatten(1).T[rows].to(self.features.dtype)
            self.found.append((features, shares[rows].half()))
        return {'loss_nothing': self.nothing * 0}

    def fill(self) -> None:
        """The patches that were taken become the bank, those of all processes."""
        parts = [(features.cpu(), classes.cpu()) for features, classes in self.found]
        if get_world_size() > 1:
            parts = [part for others in all_gather_object(parts) for part in others]
        if not sum(len(features) for features, _ in parts):
            raise UserError('k-NN segmentation: no training view has a labelled pixel')
        device = self.nothing.device
        for name, tensors in zip(BANK, zip(*parts)):
            setattr(self, name, torch.cat(tensors)[: self.bank_size].to(device))
        self.found = []

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps -> scores (B, classes, h, w), which sum to 1 over the classes."""
        found = unit_features(inputs)
        queries = found.permute(0, 2, 3, 1).flatten(0, 2)
        votes = [self._votes(part) for part in queries.split(QUERIES)]
        return torch.cat(votes).view(len(found), *found.shape[2:], -1).permute(0, 3, 1, 2)

    def _votes(self, queries: Tensor) -> Tensor:
        """(Q, D) float32 of unit length -> (Q, C) float32."""
        near, rows = nearest(queries, self.features, self.neighbours)
        weights = (near / self.temperature).softmax(1)
        return torch.einsum('qk,qkc->qc', weights, self.classes[rows].float())

    def _load_from_state_dict(self, state: dict, prefix: str, *rest: Any) -> None:
        """A bank is as large as its data set."""
        for name in BANK:
            if prefix + name in state:
                setattr(self, name, getattr(self, name).new_zeros(state[prefix + name].shape))
        super()._load_from_state_dict(state, prefix, *rest)


@HOOKS.register_module()
class FillBank(Hook):
    """One pass over the training views fills the bank of a `NearestPatches`."""

    def before_train(self, runner: Runner) -> None:
        head = undistributed(runner.model).decode_head
        views = len(fixed_views(runner.train_dataloader.dataset))
        head.patches_per_view = max(1, head.bank_size // views)

    def after_train_epoch(self, runner: Runner) -> None:
        undistributed(runner.model).decode_head.fill()


def unit_features(maps: Sequence[Tensor]) -> Tensor:
    """Maps (B, C_i, h_i, w_i) -> (B, sum of C_i, h_0, w_0) float32 of unit length."""
    size = maps[0].shape[2:]
    parts = [
        F.normalize(F.interpolate(each.float(), size, mode='bilinear', align_corners=False))
        for each in maps
    ]
    return F.normalize(torch.cat(parts, 1))


def class_shares(
    label: Tensor, grid: Sequence[int], num_classes: int, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """label (H, W) -> shares of the classes (h * w, C) float32, and which cells have any label.

    A pixel belongs to the cell that its centre falls into. Ignored pixels count nowhere.
    """
    rows, columns = (
        (torch.arange(side, device=label.device) * 2 + 1) * cells // (2 * side)
        for side, cells in zip(label.shape, grid)
    )
    cell = rows[:, None] * grid[1] + columns
    known = label != ignore_index
    bins = cell[known] * num_classes + label[known].long()
    counts = bins.bincount(minlength=grid[0] * grid[1] * num_classes).view(-1, num_classes).float()
    total = counts.sum(1)
    return counts / total.clamp(min=1)[:, None], total > 0


def draw(rows: Tensor, count: int, *entropy: int) -> Tensor:
    """At most `count` of the rows, each as likely as another."""
    if len(rows) <= count:
        return rows
    chosen = np.random.default_rng(entropy).choice(len(rows), count, replace=False)
    return rows[torch.from_numpy(np.sort(chosen)).to(rows.device)]
