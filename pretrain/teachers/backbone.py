"""Any backbone that `mim_backbones.from_checkpoint` reads, as a teacher; DINO's by name."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mim_backbones.backbones.base import grid_of
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.checkpoints.load import from_checkpoint
from mim_backbones.checkpoints.source import Content
from mim_backbones.errors import UserError
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from mim_backbones.registry import MODELS as BACKBONES
from pretrain.registry import MODELS
from pretrain.teachers.base import Features, Teacher, features_of, numbered, one_shape
from pretrain.teachers.weights import check_choice, drawn_alike


@MODELS.register_module()
class BackboneTeacher(Teacher):
    """Maps of a backbone's blocks, the last after its final norm if nothing else is said.

    Beside them the CLS token of a ViT, or the mean patch where there is none.

    Args:
        checkpoint: file, or `timm:NAME` (read into our own backbone); or its content.
        input_size: side in pixels; None: 224. Positions are resized to it as the code that the
            file is from does.
        mean, std: per channel, of images in [0, 1]; ImageNet's by default.
        loading: further arguments of `from_checkpoint`: num_heads, weights='ema', antialias, ...
        backbone: config of a backbone with random weights, in place of a checkpoint.
        random_weights: has to be said too.
        blocks: which are read, counted over all stages; negative from the end. None behind the
            last of them runs.
        final_norm: whether the norm behind the last block is applied to what is read: to every
            block of a ViT, to the last one alone of others.

    Raises:
        UserError: neither or both of file and random weights, an unreadable file, or blocks that
            are not there or have maps of different shapes.
    """

    wanted = 'the file of a ViT, Swin or Hiera that mimbench reads'
    looks = False  # see `look`

    def __init__(
        self,
        checkpoint: str | Content | None = None,
        input_size: int = 224,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
        loading: dict[str, Any] | None = None,
        backbone: dict[str, Any] | None = None,
        random_weights: bool = False,
        blocks: Sequence[int] = (-1,),
        final_norm: bool = True,
    ) -> None:
        super().__init__(input_size, mean, std)
        name = type(self).__name__
        if not isinstance(checkpoint, Content):
            check_choice(name, checkpoint, random_weights, self.wanted)
        if checkpoint is not None:
            self.net, _ = from_checkpoint(checkpoint, img_size=input_size, **(loading or {}))
        elif backbone is None:
            raise UserError(
                f'{name}: random_weights=True needs model.target.teacher.backbone=dict(type=...)'
            )
        else:
            config = {**backbone, 'img_size': input_size}
            self.net = drawn_alike(lambda: BACKBONES.build(config))
        self.net.eval()
        self.blocks = numbered(name, blocks, self.net.depth)
        self.final_norm, self.whole = final_norm, True
        if isinstance(self.net, MIMViT):
            self.embed_dim = self.net.embed_dim
            self.grid = grid_of(name, input_size, self.net.stride)
            return
        with torch.no_grad():
            maps = self.net.intermediates(torch.zeros(1, 3, input_size, input_size), self.blocks)
        shapes = {block: x.shape[1:] for block, x in zip(self.blocks, maps, strict=True)}
        self.embed_dim, self.grid = one_shape(name, shapes)

    def features(self, image: Tensor) -> Features:
        if not isinstance(self.net, MIMViT):
            maps = self.net.intermediates(image, self.blocks, norm_last=self.final_norm)
            return features_of([x.flatten(2).transpose(1, 2) for x in maps])
        last = self.net.depth - 1
        places = [block + 1 for block in self.blocks]
        *read, seen = self.net.block_inputs(image, [*places, last if self.looks else places[-1]])
        if self.final_norm:
            read = [self.net.norm(x) for x in read]
        prefix = self.net.num_prefix
        patches = [x[:, prefix:] for x in read]
        found = features_of(patches, [x[:, 0] for x in read] if self.net.num_cls else None)
        if not self.looks:
            return found
        block, cls = self.net.blocks[last], torch.zeros(1, dtype=torch.long)
        given = block.attn.weights(block.norm1(seen), cls)[:, :, 0, prefix:]
        return found._replace(importance=given.mean(1))

    def look(self) -> None:
        if not isinstance(self.net, MIMViT) or not self.net.num_cls:
            super().look()
        last = self.net.blocks[-1]
        beside = (
            self.net.rel_pos_bias,
            self.net.rope,
            last.rel_pos_bias,
            last.attn.decomposed_grid,
        )
        if last.window_size or any(each is not None for each in beside):
            raise ValueError(
                f'{type(self).__name__}: the attention of its last block is not of tokens alone; '
                'take a ViT of absolute positions, without windows'
            )
        self.looks = True

    def facts(self) -> dict[str, Any]:
        heads = getattr(self.net, 'num_heads', None)  # no weight shows them
        return {**super().facts(), 'final_norm': self.final_norm, 'num_heads': heads}


@MODELS.register_module()
class DINOTeacher(BackboneTeacher):
    """DINO ViT-B/16 (arXiv 2104.14294): ImageNet statistics, 224 px, 768 wide.

    Args:
        checkpoint: its file; ViTs of other sizes are taken too.
        random_weights: a ViT-B/16 without a file, to try things out.
        input_size: side in pixels; positions are resized to it as DINO's own code does.
        loading, blocks, final_norm: see `BackboneTeacher`.
    """

    wanted = (
        'the DINO ViT-B/16: download dino_vitbase16_pretrain.pth (the address is in the table of '
        "facebookresearch/dino's README, column `backbone only`)"
    )

    def __init__(
        self,
        checkpoint: str | None = None,
        random_weights: bool = False,
        input_size: int = 224,
        loading: dict[str, Any] | None = None,
        blocks: Sequence[int] = (-1,),
        final_norm: bool = True,
    ) -> None:
        base = {'type': 'mim_backbones.MIMViT', 'arch': 'base'}
        super().__init__(
            checkpoint,
            input_size,
            # The backbone alone has the names of any plain ViT: its file cannot say whose rule.
            loading={'offset': 0.1, **(loading or {})},
            backbone=base if random_weights else None,
            random_weights=random_weights,
            blocks=blocks,
            final_norm=final_norm,
        )
