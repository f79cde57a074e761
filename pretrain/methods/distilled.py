"""What the methods share that learn from a teacher's blocks while they mask: D-MAE, D-SimMIM.

L = L_method + sum over distillations of  weight * mean (W A_s - A_t)^2
    A = q k^T / sqrt(d) (+ bias): a block's attention before the softmax, of the tokens that teacher
    and student are both shown; W mixes the student's heads into the teacher's
paper: arXiv 2404.12210 (released as wangsr126/MAE-Lite)      teacher  frozen, targets/relations.py

Its D2 takes the two apart: an early block is decoded (`decode_from` of the method), and a further
block behind the last, of which there is no more than relations, learns from the teacher.
"""

from abc import abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from timm.layers import trunc_normal_
from torch import Tensor, nn

from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.backbones.layers.swin_block import SwinBlock
from mim_backbones.errors import UserError
from pretrain.losses import l2
from pretrain.methods.base import MaskedImageModel
from pretrain.registry import MODELS, build
from pretrain.targets.base import Target, bound_target, files_in
from pretrain.targets.frozen import Frozen
from pretrain.targets.relations import BlockTarget, ask
from pretrain.teachers.backbone import BackboneTeacher
from pretrain.teachers.weights import check_choice

LAST_RELATIONS = ({'target': {'type': 'RelationTarget', 'block': -1}, 'student': -1},)


class Distilled(MaskedImageModel):
    """A masked method and what its blocks learn from those of a teacher that sees the same tokens.

    Comes before the method among a class's bases.

    Args:
        teacher: config of a `BackboneTeacher` of the student's family; its input_size is the
            student's if left out. None for a model that only predicts.
        distill: for each `Distillation` the config of its target (without a teacher) and, where
            they differ from the published ones, its further arguments.
        backbone, method: see the method.

    Attributes:
        decoded: of the method, places of the token stream that its prediction comes from.

    Raises:
        ValueError: teacher and student have other patches, other tokens beside, or blocks that
            relate other tokens; or blocks that would learn nothing.
        UserError: the teacher has no weights, or cannot be shown the masked image.
    """

    decoded: list[int]

    def __init__(
        self,
        backbone: dict[str, Any],
        teacher: dict[str, Any] | None = None,
        distill: Sequence[dict[str, Any]] = LAST_RELATIONS,
        **method: Any,
    ) -> None:
        super().__init__(backbone, **method)
        name = type(self).__name__
        self.distill = nn.ModuleList()
        if teacher is None:
            return
        if not distill:
            raise ValueError(
                f'{name}: model.distill is empty; give a distillation, or take '
                f'{name.removeprefix("D")}'
            )
        frozen = Frozen(block_teacher(name, teacher, self.img_size), precision='same')
        check_family(name, frozen.net.net, self.backbone)
        for part in distill:
            asked = {**part['target'], 'teacher': frozen, 'files': files_in(teacher)}
            bound = bound_target(asked, self.backbone)
            self.distill.append(Distillation(self.backbone, **{**part, 'target': bound}))
        self._check_shown(frozen.net)
        last = max(self.places)
        if last < self.backbone.depth:
            raise ValueError(
                f'{name}: nothing of the loss comes from block {last} or later ones, which would '
                'learn nothing; leave out decode_from, or extra_block=True in one of model.distill'
            )

    @property
    def targets(self) -> list[Target]:
        return [*super().targets, *(part.target for part in self.distill)]

    @property
    def places(self) -> list[int]:
        """Of the token stream, what is decoded and what each distillation reads."""
        return [*self.decoded, *(part.place for part in self.distill)]

    @abstractmethod
    def shown(self, mask: Tensor) -> dict[str, Tensor]:
        """`keep` or `mask` of `block_inputs`: how teacher and student see a masked image."""

    def distilled(
        self, image: Tensor, keep: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """What stands at the places `decoded`, and the errors against the teacher by kind.

        keep, mask: see `shown`.

        Raises:
            UserError: there is no teacher.
        """
        if not self.distill:
            name = type(self).__name__
            raise UserError(f'{name}: no teacher to learn from; give model.teacher.checkpoint=FILE')
        inputs = self.backbone.block_inputs(self.normalise(image), self.places, mask, keep)
        height, width = (side // self.backbone.mask_size for side in image.shape[-2:])
        count = len(self.decoded)
        answers = ask([part.target for part in self.distill], image, keep, mask)
        losses: dict[str, Tensor] = {}
        for part, x, answer in zip(self.distill, inputs[count:], answers, strict=True):
            said = part.read(self.backbone, x, (height, width), keep)
            error, kind = part(said, answer.values), f'loss_{part.target.kind}'
            losses[kind] = losses[kind] + error if kind in losses else error
        return inputs[:count], losses

    def prepare(self, image: Tensor, mask: Tensor | None = None, **batch: Any) -> None:
        super().prepare(image, mask, **batch)
        if self.distill and mask is not None:
            ask([part.target for part in self.distill], image, **self.shown(mask))

    @classmethod
    def for_loading(cls, model: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
        return {**super().for_loading(model, facts), 'teacher': None}

    def _check_shown(self, teacher: BackboneTeacher) -> None:
        """Refuse now and not in the first step a teacher that cannot see what the student does."""
        cells, side = self.img_size // self.backbone.mask_size, teacher.input_size
        shown = self.shown(torch.zeros(1, cells, cells, dtype=torch.bool))
        if 'mask' in shown and teacher.net.mask_token is None:
            raise UserError(
                f'{type(self).__name__}: the teacher has no mask token to see a masked image with; '
                'give model.teacher.checkpoint=FILE of such a pre-training'
            )
        teacher.net.block_inputs(torch.zeros(1, 3, side, side), (0,), **shown)


class Distillation(nn.Module):
    """What one place of the student says -> its weighted error against the teacher's.

    Args:
        backbone: the student.
        target: what is read of the teacher, and of the student likewise.
        student: the student's block; negative counts from the end, as the teacher's does.
        extra_block: read a `relation_block` behind the student's block instead.
        adapter: mix the student's channels (heads) linearly into the teacher's, trained even where
            they are equally many, as published; False compares them as they are.
        weight: of the mean squared error.

    Raises:
        ValueError: no such block, one that relates other tokens than the teacher's, no adapter
            between different numbers of channels, or an extra block for what is no relation.
    """

    def __init__(
        self,
        backbone: MIMBackbone,
        target: BlockTarget,
        student: int = -1,
        extra_block: bool = False,
        adapter: bool = True,
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.target, self.weight = target, weight
        self.place = target.place_of(backbone, student) + extra_block
        relations = target.kind == 'relations'
        if extra_block and not relations:
            raise ValueError(f'model.distill: an extra block has relations only, no {target.kind}')
        self.extra_block = relation_block(backbone.blocks[-1]) if extra_block else None
        if relations:
            ours = backbone.related(self.extra_block or backbone.blocks[self.place], self.place)
            if ours != target.related:
                raise ValueError(
                    f'model.distill: the block of the teacher relates {target.related}, that of '
                    f'the student {ours}; read blocks that relate the same'
                )
        channels = target.channels(backbone, self.place)
        if not adapter and channels != target.width:
            raise ValueError(
                f'model.distill: the student has {channels} and the teacher {target.width} '
                f'channels of {target.kind}; adapter=True'
            )
        self.adapter = Adapter(channels, target.width) if adapter else nn.Identity()

    def read(
        self, backbone: MIMBackbone, x: Tensor, grid: tuple[int, int], keep: Tensor | None
    ) -> Tensor:
        """What the student makes of its tokens x at `place`; grid, keep: see `BlockTarget.read`."""
        if self.extra_block is not None:
            return backbone.attention_logits(self.extra_block, x, grid, keep)
        return self.target.read(backbone, self.place, x, grid, keep)

    def forward(self, said: Tensor, values: Tensor) -> Tensor:
        """Scalar, in float32 whatever the autocast: logits are large, their differences small."""
        with torch.autocast(said.device.type, enabled=False):
            return self.weight * l2(self.adapter(said.float()), values).mean()


class Adapter(nn.Conv1d):
    """(B, channels, ...) -> (B, wanted, ...), the same linear map at every position, no bias."""

    def __init__(self, channels: int, wanted: int) -> None:
        super().__init__(channels, wanted, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(2)).unflatten(2, x.shape[2:])


def relation_block(last: nn.Module) -> nn.Module:
    """As much of a block like `last` as its attention's logits need, drawn anew.

    Raises:
        ValueError: a block that changes its width, which none like it can follow.
    """
    block = deepcopy(last)
    attention, qkv = block.attn, block.attn.qkv
    if qkv.out_features != 3 * qkv.in_features:
        raise ValueError(
            'model.distill: no extra block fits behind one that changes its width; give the last '
            'stage two blocks'
        )
    swin = isinstance(block, SwinBlock)
    needed = {'attn'} if swin and not block.norm_first else {'attn', 'norm1'}
    for name in {name for name, _ in block.named_children()} - needed:
        setattr(block, name, None)
    for name in ('gamma_1', 'gamma_2'):
        if hasattr(block, name):
            setattr(block, name, None)
    attention.proj = attention.norm = None
    for part in attention.modules():
        if isinstance(part, nn.Linear):
            if swin:
                trunc_normal_(part.weight, std=0.02)
            else:
                nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    if hasattr(attention, 'relative_position_bias_table'):
        trunc_normal_(attention.relative_position_bias_table, std=0.02)
    return block


def block_teacher(name: str, teacher: dict[str, Any], img_size: int) -> BackboneTeacher:
    """Raises UserError when it has no weights, ValueError when its blocks cannot be read."""
    cls = MODELS.get(teacher['type'])
    if not (isinstance(cls, type) and issubclass(cls, BackboneTeacher)):
        raise ValueError(
            f'{name}: {teacher["type"]} is no BackboneTeacher, whose blocks can be read'
        )
    check_choice(
        teacher['type'], teacher.get('checkpoint'), teacher.get('random_weights', False),
        cls.wanted, 'model.teacher',
    )  # fmt: skip
    return build(MODELS, {'input_size': img_size, **teacher})


def check_family(name: str, teacher: MIMBackbone, student: MIMBackbone) -> None:
    """Raises ValueError unless both are of one family, with equally many tokens beside patches."""
    family = type(student)
    if not isinstance(teacher, family):
        raise ValueError(
            f'{name}: the teacher is a {type(teacher).__name__}, no {family.__name__} as the '
            'student'
        )
    theirs, ours = (getattr(net, 'num_prefix', 0) for net in (teacher, student))
    if theirs != ours:
        raise ValueError(
            f'{name}: the teacher has {theirs} CLS and register tokens, the student {ours}; give '
            'the backbone the same cls_token and num_registers'
        )
