"""How a block of a frozen ViT relates all tokens of an image: distributions, not logits.

R = softmax(a b^T / sqrt(d))        a, b: queries, keys or values of the block, cut into heads
Source: TinyMIM, arXiv 2301.01296 (OliverRensu/TinyMIM): 'qk', which is the attention, and 'vv', of
block 18 of MAE's ViT-L. `RelationTarget` (relations.py) gives the logits of visible tokens.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.backbones.vit import MIMViT
from pretrain.registry import MODELS, build
from pretrain.targets.base import Student, Target, Wanted, check_grid, files_in
from pretrain.targets.frozen import Frozen

LETTERS = 'qkv'


@MODELS.register_module()
class TokenRelationTarget(Target):
    """RGB (B, 3, H, W) in [0, 1] -> (B, relations * heads, N, N), CLS first; rows sum to 1.

    Args:
        teacher: config of a `BackboneTeacher` of a ViT without relative positions; its input_size
            is the student's if left out.
        block: which one is read, from 0; negative counts from the end.
        relations: pairs of 'q', 'k' and 'v'.
        heads: how many the block's channels are cut into, the student's likewise; default: the
            teacher's own.
        precision: see `Frozen`; products and softmax are in float32 whatever it is.

    Raises:
        ValueError: no such relation or block, heads that do not divide the channels, another grid
            than the student's, or a teacher whose blocks cannot be read.
        UserError: what the teacher refuses, missing weights among it.
    """

    kind = 'relations'
    state = 'frozen'

    def __init__(
        self,
        teacher: dict[str, Any],
        block: int = -1,
        relations: Sequence[str] = ('qk', 'vv'),
        heads: int | None = None,
        precision: str = 'same',
    ) -> None:
        super().__init__()
        for pair in relations:
            if len(pair) != 2 or set(pair) - set(LETTERS):
                raise ValueError(
                    f"TokenRelationTarget: relation {pair!r}; known are pairs of 'q', 'k' and 'v', "
                    "as 'qk'"
                )
        self.teacher, self.block, self.heads = teacher, block, heads
        self.relations = tuple(relations)
        self.precision = precision
        self.files = files_in(teacher)

    def bind(self, student: Student) -> None:
        teacher = build(MODELS, {'input_size': student.img_size[0], **self.teacher})
        vit = readable(getattr(teacher, 'net', teacher), 'the teacher of TokenRelationTarget')
        if not -vit.depth <= self.block < vit.depth:
            raise ValueError(f'TokenRelationTarget: block {self.block} of {vit.depth}')
        self.place = self.block % vit.depth
        self.heads = self.heads or vit.num_heads
        check_heads(vit, self.heads, 'teacher')
        check_grid(
            f'{type(teacher).__name__} at {teacher.input_size} px', teacher.grid, student,
            'both have to divide the image into the same patches',
        )  # fmt: skip
        self.frozen = Frozen(teacher, self.precision)
        self.width = len(self.relations) * self.heads
        self.num_prefix = vit.num_prefix
        self.grid, self.stride = student.grid, student.stride
        self.keep_fingerprint(self.frozen.fingerprint(self.reading()))

    def reading(self) -> dict[str, Any]:
        relations = list(self.relations)
        return {
            **self.frozen.facts(), 'blocks': [self.place], 'relations': relations,
            'heads': self.heads,
        }  # fmt: skip

    def forward(self, image: Tensor) -> Wanted:
        with self.frozen.asked(image) as teacher:
            (x,) = teacher.net.block_inputs(teacher.prepare(image), (self.place,))
            logits = token_relations(teacher.net, self.place, x, self.relations, self.heads)
            return Wanted(torch.cat([each.softmax(-1) for each in logits], dim=1))


def token_relations(
    vit: MIMViT, place: int, x: Tensor, relations: Sequence[str], heads: int
) -> list[Tensor]:
    """Logits (B, heads, N, N) of each relation, of what goes into a block, x (B, N, D)."""
    block = vit.blocks[place]
    return block.attn.relations(block.norm1(x), relations, heads)


def readable(vit: Any, who: str) -> MIMViT:
    """The ViT, if nothing but its tokens says how they relate.

    Raises:
        ValueError: no ViT, or positions or norms that belong to its own heads.
    """
    if not isinstance(vit, MIMViT):
        kind = type(vit).__name__ if isinstance(vit, MIMBackbone) else 'network of another kind'
        raise ValueError(f'{who} is a {kind}, no MIMViT')
    first = vit.blocks[0]
    positions = (vit.rel_pos_bias, vit.rope, first.rel_pos_bias, first.attn.decomposed_grid)
    if vit.window_size or any(each is not None for each in positions):
        raise ValueError(
            f'{who} has windows, relative or rotary positions; take a ViT of absolute ones alone'
        )
    if any(True for _ in first.attn.q_norm.parameters()):
        raise ValueError(f'{who} norms queries and keys by head; take a ViT with qk_norm=False')
    return vit


def check_heads(vit: MIMViT, heads: int, who: str) -> None:
    """Raises ValueError unless `heads` divide the channels."""
    if heads < 1 or vit.embed_dim % heads:
        raise ValueError(
            f'{heads} heads do not divide the {vit.embed_dim} channels of the {who}; change '
            'model.target.heads'
        )
