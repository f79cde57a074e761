"""What the blocks of a frozen backbone say of tokens: how they relate, what they hold.

RelationTarget   A = q k^T / sqrt(d), the logits of a block's attention before the softmax
HiddenTarget     what goes into a block of a ViT, after that block's first norm

Source: distillation of MAE-Lite (arXiv 2404.12210; wangsr126/MAE-Lite, projects/mae_lite, simmim),
which shows a teacher what its student sees: the visible tokens and no others, or all of them with
the hidden ones as the teacher's own mask token. Several targets may share a teacher: one pass,
which ends before the last block asked, answers all (`ask`).
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.backbones.vit import MIMViT
from pretrain.registry import MODELS
from pretrain.targets.base import Grid, Student, Target, Wanted, check_grid
from pretrain.targets.frozen import Frozen


class BlockTarget(Target):
    """RGB (B, 3, H, W) in [0, 1], `keep` or `mask` -> what a block makes of the tokens.

    It sees the student's own image, whose places `keep` counts. The same `place_of`, `channels` and
    `read` tell of the student what it is to be compared with.

    Args:
        teacher: holds a `BackboneTeacher`.
        block: which one is read; negative counts from the end.
        files: of the teacher's weights.

    Attributes:
        place: of the teacher's token stream that is read, see `block_inputs` of the backbone.

    Raises:
        ValueError: no such block, another grid than the student's, or a teacher that cannot see
            some tokens only.
    """

    state = 'frozen'
    option = 'model.teacher'  # as in `Distilled`: several targets share it

    def __init__(self, teacher: Frozen, block: int = -1, files: tuple[str, ...] = ()) -> None:
        super().__init__()
        backbone = teacher.net.net
        self.frozen, self.files = teacher, files
        self.place = self.place_of(backbone, block)
        self.width = self.channels(backbone, self.place)
        self.keep_fingerprint(teacher.fingerprint(self.reading()))

    def reading(self) -> dict[str, Any]:
        return {**self.frozen.facts(), 'blocks': [self.place]}

    def bind(self, student: Student) -> None:
        teacher = self.frozen.net
        check_grid(
            f'{type(teacher).__name__} at {teacher.input_size} px', teacher.grid, student,
            'both have to divide the image into the same patches',
        )  # fmt: skip
        self.grid, self.stride = student.grid, student.stride

    def forward(
        self, image: Tensor, keep: Tensor | None = None, mask: Tensor | None = None
    ) -> Wanted:
        """keep: (B, V) int64, raster places of the cells that are seen; None: all are.

        mask: in its place, (B, H/m, W/m) bool; what it hides is seen as the mask token.
        """
        return ask([self], image, keep, mask)[0]

    @classmethod
    def place_of(cls, backbone: MIMBackbone, block: int) -> int:
        """Where in the token stream a block is read.

        Raises:
            ValueError: there is no such block.
        """
        count = cls.readable(backbone)
        if not -count <= block < count:
            raise ValueError(f'{cls.__name__}: block {block} of {count}')
        return block % count

    @staticmethod
    @abstractmethod
    def readable(backbone: MIMBackbone) -> int:
        """How many places can be read."""

    @staticmethod
    @abstractmethod
    def channels(backbone: MIMBackbone, place: int) -> int:
        """Size of the second axis of what is read there."""

    @staticmethod
    @abstractmethod
    def read(
        backbone: MIMBackbone, place: int, x: Tensor, grid: Grid, keep: Tensor | None
    ) -> Tensor:
        """What it makes of the tokens x that are there; grid (h, w) is that of the image."""


def ask(
    targets: Sequence[BlockTarget],
    image: Tensor,
    keep: Tensor | None = None,
    mask: Tensor | None = None,
) -> list[Wanted]:
    """What targets of one teacher say, in one pass. Arguments: see `BlockTarget.forward`."""
    with targets[0].frozen.asked(image) as teacher:
        backbone, places = teacher.net, [target.place for target in targets]
        inputs = backbone.block_inputs(teacher.prepare(image), places, mask, keep)
        return [
            Wanted(target.read(backbone, target.place, x, teacher.grid, keep))
            for target, x in zip(targets, inputs, strict=True)
        ]


@MODELS.register_module()
class RelationTarget(BlockTarget):
    """values (B, heads, N, N) float32: logits of all pairs of tokens that are seen, CLS first.

    A Hiera relates N queries, fewer where it pools them, and K keys. Windows, and mask units that
    attend by themselves, lie beside the images: (B * windows, heads, N, K).
    """

    kind = 'relations'

    @property
    def related(self) -> str:
        """In words, which tokens."""
        backbone = self.frozen.net.net
        return backbone.related(backbone.blocks[self.place], self.place)

    @staticmethod
    def readable(backbone: MIMBackbone) -> int:
        return backbone.depth

    @staticmethod
    def channels(backbone: MIMBackbone, place: int) -> int:
        blocks = backbone.blocks
        return blocks[min(place, len(blocks) - 1)].attn.num_heads  # behind the last: as it

    @staticmethod
    def read(
        backbone: MIMBackbone, place: int, x: Tensor, grid: Grid, keep: Tensor | None
    ) -> Tensor:
        return backbone.attention_logits(backbone.blocks[place], x, grid, keep)


@MODELS.register_module()
class HiddenTarget(BlockTarget):
    """values (B, D, N): what goes into `block`, after its norm; block `depth` (or -1) is the end.

    At the end stands the final norm of the last block's output, at 0 the embedded patches.

    Raises:
        ValueError: another backbone than a MIMViT.
    """

    kind = 'features'

    @staticmethod
    def readable(backbone: MIMBackbone) -> int:
        if not isinstance(backbone, MIMViT):
            name = type(backbone).__name__
            raise ValueError(f'HiddenTarget reads a MIMViT, no {name}; take RelationTarget')
        return backbone.depth + 1

    @staticmethod
    def channels(backbone: MIMBackbone, place: int) -> int:
        return backbone.embed_dim

    @staticmethod
    def read(
        backbone: MIMBackbone, place: int, x: Tensor, grid: Grid, keep: Tensor | None
    ) -> Tensor:
        norm = backbone.norm if place == backbone.depth else backbone.blocks[place].norm1
        return norm(x).transpose(1, 2)
