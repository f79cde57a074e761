"""The start of BEiT's and of SimMIM's ViT pre-training: N(0, 0.02^2), no value above 0.02.

Source: microsoft/unilm, beit2/modeling_pretrain.py; microsoft/SimMIM, models/simmim.py. The cut at
one deviation leaves a deviation of 0.0108; fine-tuning, and our backbones by themselves, cut at an
absolute 2, which cuts nothing.
"""

import torch.nn as nn
from torch import Tensor

from mim_backbones.backbones.layers.block import Block, shrink_outputs
from mim_backbones.backbones.vit import MIMViT

STD = 0.02


def cut_normal(tensor: Tensor) -> None:
    """N(0, 0.02^2) cut at +-0.02, in place."""
    nn.init.trunc_normal_(tensor, std=STD, a=-STD, b=STD)


def draw_linear(layer: nn.Linear | nn.Conv2d) -> None:
    cut_normal(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def draw_block(block: Block) -> None:
    """Linear layers of a block; norms, layer scale and relative tables start constant."""
    for module in block.modules():
        if isinstance(module, nn.Linear):
            draw_linear(module)


def draw_backbone(backbone: MIMViT) -> None:
    """Draw all of a MIMViT again as pre-training does."""
    draw_linear(backbone.patch_embed.proj)
    tokens = (backbone.cls_token, backbone.mask_token, backbone.register_tokens)
    for tensor in (*tokens, backbone.pos_embed):
        if tensor is not None and tensor.requires_grad:
            cut_normal(tensor)
    for number, block in enumerate(backbone.blocks, 1):
        draw_block(block)
        shrink_outputs(block, number)
