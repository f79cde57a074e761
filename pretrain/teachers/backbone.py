"""Any backbone that `mim_backbones.from_checkpoint` reads, as a teacher; DINO's by name."""

from typing import Any

from torch import Tensor

from mim_backbones.backbones.base import grid_of
from mim_backbones.checkpoints.load import from_checkpoint
from mim_backbones.checkpoints.source import Content
from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS as BACKBONES
from pretrain.images.preprocessor import IMAGENET_MEAN, IMAGENET_STD
from pretrain.registry import MODELS
from pretrain.teachers.base import Features, Teacher
from pretrain.teachers.weights import check_choice, drawn_alike


@MODELS.register_module()
class BackboneTeacher(Teacher):
    """The last map of a backbone after its final norm; a ViT's CLS token beside.

    Args:
        checkpoint: file, or `timm:NAME` (read into our own backbone); or its content.
        input_size: side in pixels; None: 224. Positions are resized to it as the code that the
            file is from does.
        mean, std: per channel, of images in [0, 1]; ImageNet's by default.
        loading: further arguments of `from_checkpoint`: num_heads, weights='ema', antialias, ...
        backbone: config of a backbone with random weights, in place of a checkpoint.
        random_weights: has to be said too.

    Raises:
        UserError: neither or both of file and random weights, or an unreadable file.
    """

    wanted = 'the file of a ViT, Swin or Hiera that mimbench reads'

    def __init__(
        self,
        checkpoint: str | Content | None = None,
        input_size: int = 224,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
        loading: dict[str, Any] | None = None,
        backbone: dict[str, Any] | None = None,
        random_weights: bool = False,
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
        self.embed_dim = self.net.num_features[-1]
        self.grid = grid_of(name, input_size, self.net.stride)
        self.whole = bool(getattr(self.net, 'num_cls', 0))

    def features(self, image: Tensor) -> Features:
        if not self.whole:
            return Features(self.net.forward_tokens(image).flatten(2).transpose(1, 2))
        tokens = self.net.norm(self.net.block_tokens(image, (-1,))[0])
        return Features(tokens[:, self.net.num_prefix :], tokens[:, 0])


@MODELS.register_module()
class DINOTeacher(BackboneTeacher):
    """DINO ViT-B/16 (arXiv 2104.14294): ImageNet statistics, 224 px, 768 wide.

    Args:
        checkpoint: its file; ViTs of other sizes are taken too.
        random_weights: a ViT-B/16 without a file, to try things out.
        input_size: side in pixels; positions are resized to it as DINO's own code does.
        loading: see `BackboneTeacher`.
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
    ) -> None:
        base = {'type': 'mim_backbones.MIMViT', 'arch': 'base'}
        super().__init__(
            checkpoint,
            input_size,
            # The backbone alone has the names of any plain ViT: its file cannot say whose rule.
            loading={'offset': 0.1, **(loading or {})},
            backbone=base if random_weights else None,
            random_weights=random_weights,
        )
