"""CLIP's image tower: every patch token in the space where images and texts meet.

features = ln_post(last block's tokens) @ visual projection        512 wide, CLS beside the patches
paper: Radford et al., arXiv 2103.00020; as a teacher: arXiv 2208.06366, section 3.1

project=False stops before the projection, 768 wide: what MaskDistill and FD learn from.
"""

from collections.abc import Sequence
from typing import Any

import torch.nn as nn
from timm.data.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from torch import Tensor

from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content, open_source
from mim_backbones.errors import UserError
from pretrain.registry import MODELS
from pretrain.teachers.backbone import BackboneTeacher
from pretrain.teachers.base import Features
from pretrain.teachers.weights import check_choice, drawn_alike

HEADS = {1280: 16, 1408: 16, 1664: 16}  # open_clip's widest; the others have 64 channels a head
OUT = 512  # of the ViT-B/16
# Last parts of the projection's name, and whether it stands the other way round: OpenAI multiplies
# by it from the right.
PROJECTIONS = (('visual_projection.weight', False), ('head.weight', False), ('proj', True))


@MODELS.register_module()
class CLIPTeacher(BackboneTeacher):
    """CLIP ViT, sizes read from the file; ViT-B/16 when the weights are random.

    Args:
        checkpoint: state dict of OpenAI, open_clip, Hugging Face or timm.
        random_weights: do without a file, to try things out.
        input_size: side in pixels. OpenAI's own code knows one size; positions are resized to
            others as in BEiT v2's copy of it, the teacher's, which does as DINO.
        quick_gelu: x * sigmoid(1.702 x), as in OpenAI's weights; most of open_clip's own have
            the exact GELU.
        project: whether tokens are multiplied by the visual projection.
        blocks, final_norm: see `BackboneTeacher`; `ln_post` is the final norm.

    Raises:
        UserError: no weights, a file that holds no image tower of CLIP, or a projection of what is
            not normed.
    """

    wanted = (
        'the CLIP ViT-B/16 of OpenAI: download ViT-B-16.pt (the address is in clip/clip.py of '
        'openai/CLIP) and convert it with `python -c "import torch; torch.save(torch.jit.load('
        "'ViT-B-16.pt', 'cpu').state_dict(), 'clip_vit-b16.pth')\"`, or take model.safetensors of "
        'openai/clip-vit-base-patch16 on Hugging Face as it is'
    )

    def __init__(
        self,
        checkpoint: str | None = None,
        random_weights: bool = False,
        input_size: int = 224,
        quick_gelu: bool = True,
        project: bool = True,
        blocks: Sequence[int] = (-1,),
        final_norm: bool = True,
    ) -> None:
        check_choice('CLIPTeacher', checkpoint, random_weights, self.wanted)
        if project and not final_norm:
            raise UserError('CLIPTeacher: the projection is of normed tokens; add project=False')
        act = 'quick_gelu' if quick_gelu else 'gelu'
        content = weight = tower = None
        loading = {'act': act, 'offset': 0.1}
        if checkpoint is None:
            tower = {
                'type': 'mim_backbones.MIMViT', 'arch': 'base', 'norm_pre': True,
                'patch_bias': False, 'norm_eps': 1e-5, 'act': act,
            }  # fmt: skip
        else:
            content = opened(checkpoint)
            weight = projection(content, self.wanted)
            width = weight.shape[1]
            loading['num_heads'] = HEADS.get(width, max(1, width // 64))
        super().__init__(
            content, input_size, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD, loading, tower, random_weights,
            blocks, final_norm,
        )  # fmt: skip
        self.act, self.head = act, None
        if not project:
            return
        if weight is None:
            self.head = drawn_alike(lambda: nn.Linear(self.embed_dim, OUT, bias=False))
        else:
            self.head = nn.Linear(*weight.T.shape, bias=False)
            self.head.weight.data.copy_(weight)
        self.embed_dim = self.head.eval().out_features

    def features(self, image: Tensor) -> Features:
        read = super().features(image)
        if self.head is None:
            return read
        return Features(self.head(read.patches), self.head(read.whole), read.importance)

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), 'act': self.act, 'project': self.head is not None}


def projection(content: Content, wanted: str) -> Tensor:
    """(out, width), from the last tokens to where images and texts meet.

    Raises:
        CheckpointError: there is none, or the weights beside it are no image tower of CLIP.
    """
    norms = ('norm_pre.weight', 'ln_pre.weight', 'pre_layrnorm.weight')
    tower = any(key.endswith(norms) for key in content.tensors)
    for name, turned in PROJECTIONS:
        for key, value in content.tensors.items():
            if tower and value.ndim == 2 and f'.{key}'.endswith(f'.{name}'):
                return value.T if turned else value
    raise CheckpointError(
        f'checkpoint {content.name} holds no image tower of a CLIP ViT; CLIPTeacher wants {wanted}'
    )


def opened(checkpoint: str) -> Content:
    try:
        return open_source(checkpoint)
    except CheckpointError as error:
        if 'TorchScript' not in str(error):
            raise
        raise CheckpointError(
            f'checkpoint {checkpoint} is a TorchScript archive, which only running it can read; '
            f'convert it once with `python -c "import torch; torch.save(torch.jit.load('
            f"'{checkpoint}', 'cpu').state_dict(), 'clip_vit-b16.pth')\"` and give that file"
        ) from error
