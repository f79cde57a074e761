"""CLIP's image tower: every patch token in the space where images and texts meet.

features = ln_post(last block's tokens) @ visual projection        512 wide, CLS beside the patches
paper: Radford et al., arXiv 2103.00020; as a teacher: arXiv 2208.06366, section 3.1
"""

from functools import partial
from math import isqrt

import torch
import torch.nn as nn
from timm.data.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from mim_backbones.backbones.layers.pos_embed import Resize, resize_pos_embed
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import open_source
from pretrain.registry import MODELS
from pretrain.teachers.base import Features, Teacher
from pretrain.teachers.clip_names import State, clip_image_tower
from pretrain.teachers.weights import check_choice, drawn_alike

WANTED = (
    'the CLIP ViT-B/16 of OpenAI: download ViT-B-16.pt (the address is in clip/clip.py of '
    'openai/CLIP) and convert it with `python -c "import torch; torch.save(torch.jit.load('
    "'ViT-B-16.pt', 'cpu').state_dict(), 'clip_vit-b16.pth')\"`, or take model.safetensors of "
    'openai/clip-vit-base-patch16 on Hugging Face as it is'
)
HEAD_DIM = 64  # in all of OpenAI's ViTs
# OpenAI's own code knows one size; BEiT v2's copy of it, the teacher's, resizes as DINO does.
POSITIONS = Resize(offset=0.1)


@MODELS.register_module()
class CLIPTeacher(Teacher):
    """CLIP ViT, sizes read from the file; ViT-B/16 when the weights are random.

    Args:
        checkpoint: state dict of OpenAI, open_clip, Hugging Face or timm.
        random_weights: do without a file, to try things out.
        input_size: side in pixels; positions are resized to it, as in BEiT v2's teacher.
        quick_gelu: x * sigmoid(1.702 x), as in OpenAI's weights; most of open_clip's own have
            the exact GELU.

    Raises:
        UserError: no weights, or a file that holds no image tower of CLIP.
    """

    whole = True

    def __init__(
        self,
        checkpoint: str | None = None,
        random_weights: bool = False,
        input_size: int = 224,
        quick_gelu: bool = True,
    ) -> None:
        super().__init__(input_size, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
        check_choice('CLIPTeacher', checkpoint, random_weights, WANTED)
        if checkpoint is None:
            self.net = drawn_alike(lambda: vit(768, 12, 16, 512, input_size, quick_gelu))
        else:
            self.net = loaded(checkpoint, input_size, quick_gelu)
        nn.init.zeros_(self.net.head.bias)
        self.grid = self.net.patch_embed.grid_size
        self.embed_dim = self.net.head.out_features

    def features(self, image: Tensor) -> Features:
        tokens = self.net.head(self.net.forward_features(image))
        return Features(tokens[:, 1:], tokens[:, 0])


def vit(
    width: int, depth: int, patch: int, out_dim: int, input_size: int, quick_gelu: bool
) -> VisionTransformer:
    return VisionTransformer(
        img_size=input_size,
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=max(1, width // HEAD_DIM),
        num_classes=out_dim,
        pre_norm=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-5),
        act_layer='quick_gelu' if quick_gelu else 'gelu',
    )


def loaded(checkpoint: str, input_size: int, quick_gelu: bool) -> VisionTransformer:
    """Raises CheckpointError for a TorchScript archive, another network, or missing weights."""
    state = clip_image_tower(read(checkpoint))
    needed = {'patch_embed.proj.weight', 'pos_embed', 'head.weight', 'blocks.0.attn.qkv.weight'}
    if needed - set(state):
        raise CheckpointError(
            f'checkpoint {checkpoint} holds no image tower of a CLIP ViT; CLIPTeacher wants '
            f'{WANTED}'
        )
    width, _, patch, _ = state['patch_embed.proj.weight'].shape
    depth = len({key.split('.')[1] for key in state if key.startswith('blocks.')})
    net = vit(width, depth, patch, len(state['head.weight']), input_size, quick_gelu)
    side = isqrt(state['pos_embed'].shape[1])
    state['pos_embed'] = resize_pos_embed(
        state['pos_embed'], (side, side), net.patch_embed.grid_size, 1, POSITIONS
    )
    state['head.bias'] = torch.zeros(len(state['head.weight']))
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        why = str(error).splitlines()[-1].strip()
        raise CheckpointError(f'checkpoint {checkpoint} is no whole CLIP ViT: {why}') from error
    return net


def read(checkpoint: str) -> State:
    try:
        return open_source(checkpoint).tensors
    except CheckpointError as error:
        if 'TorchScript' not in str(error):
            raise
        raise CheckpointError(
            f'checkpoint {checkpoint} is a TorchScript archive, which only running it can read; '
            f'convert it once with `python -c "import torch; torch.save(torch.jit.load('
            f"'{checkpoint}', 'cpu').state_dict(), 'clip_vit-b16.pth')\"` and give that file"
        ) from error
