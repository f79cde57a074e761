"""DALL-E's dVAE encoder, BEiT's tokenizer: image -> 8192 codes, one per 8 x 8 px.

    image in [0, 1] -> 0.8 x + 0.1 -> 7x7 convolution -> 4 groups of residual blocks, 2 x 2 maxima
    between them -> relu, 1x1 convolution -> the most likely code

paper: arXiv 2102.12092, appendix A.2; facts of the layers: openai/DALL-E, dall_e/encoder.py. BEiT
(arXiv 2106.08254) shows it 112 px of a 224 px image, so that its grid is the ViT's 14 x 14.
"""

from collections import OrderedDict
from itertools import pairwise

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from pretrain.registry import MODELS
from pretrain.tokenizers.pickled_encoder import read_dalle_encoder

GROUPS = 4
EPS = 0.1  # pixels keep this distance from 0 and 1, where the dVAE's likelihood has its poles


class ResidualBlock(nn.Module):
    """x + gain * branch(x), four convolutions in the branch; (B, in_dim, ...) -> (B, dim, ...)."""

    def __init__(self, in_dim: int, dim: int, gain: float) -> None:
        super().__init__()
        self.gain = gain
        self.id_path = nn.Conv2d(in_dim, dim, 1) if in_dim != dim else nn.Identity()
        widths = (in_dim, *[dim // 4] * 3, dim)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i, (before, after) in enumerate(pairwise(widths), start=1):
            size = 1 if i == 4 else 3
            layers[f'relu_{i}'] = nn.ReLU()
            layers[f'conv_{i}'] = nn.Conv2d(before, after, size, padding=size // 2)
        self.res_path = nn.Sequential(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.id_path(x) + self.gain * self.res_path(x)


@MODELS.register_module()
class DalleTokenizer(nn.Module):
    """The encoder in a file that the user has; its widths are read from the weights.

    Args:
        checkpoint: OpenAI's encoder.pkl (read without running it), or its state dict as .pth or
            .safetensors.

    Attributes:
        codes: size of the vocabulary, 8192 as published.
        token_px: side in pixels of what one id stands for.
        input_size: side of the images that BEiT shows it; any multiple of 8 is taken.

    Raises:
        CheckpointError: no such file, or not this encoder.
    """

    token_px = 8
    input_size = 112

    def __init__(self, checkpoint: str) -> None:
        super().__init__()
        state = read_dalle_encoder(checkpoint)
        self.blocks = encoder_blocks(state)
        self.codes = len(state['blocks.output.conv.weight'])
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            why = str(error).splitlines()[-1].strip()
            raise CheckpointError(f'{checkpoint} is no whole DALL-E encoder: {why}') from error
        self.eval().requires_grad_(False)

    def encode(self, image: Tensor) -> Tensor:
        """image (B, 3, H, W) RGB in [0, 1], sides multiples of 8 -> ids (B, H/8, W/8) int64."""
        return self.logits(image).argmax(1)

    def logits(self, image: Tensor) -> Tensor:
        """image (B, 3, H, W) in [0, 1] -> (B, codes, H/8, W/8)."""
        x = self.blocks['input']((1 - 2 * EPS) * image + EPS)
        for i in range(GROUPS):
            x = self.blocks[f'group_{i + 1}'](x)
            if i + 1 < GROUPS:
                x = F.max_pool2d(x, 2)
        return self.blocks['output']['conv'](x.relu())


def encoder_blocks(state: dict[str, Tensor]) -> nn.ModuleDict:
    """Modules of the widths that the weights have, under the published names."""
    first = state['blocks.input.weight']
    width = len(first)
    per_group = len({key.split('.')[2] for key in state if key.startswith('blocks.group_1.')})
    gain = 1 / (GROUPS * per_group) ** 2
    blocks = nn.ModuleDict({'input': nn.Conv2d(first.shape[1], width, 7, padding=3)})
    before = width
    for i in range(GROUPS):
        dim = width * 2**i
        group = OrderedDict()
        for j in range(per_group):
            group[f'block_{j + 1}'] = ResidualBlock(before, dim, gain)
            before = dim
        blocks[f'group_{i + 1}'] = nn.Sequential(group)
    codes = len(state['blocks.output.conv.weight'])
    blocks['output'] = nn.ModuleDict({'conv': nn.Conv2d(before, codes, 1)})
    return blocks
