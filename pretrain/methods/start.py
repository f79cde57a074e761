"""The start of a ViT's pre-training where it is another than our backbones' own.

BEiT, SimMIM: N(0, 0.02^2), no value above 0.02. Source: microsoft/unilm,
beit2/modeling_pretrain.py; microsoft/SimMIM, models/simmim.py. The cut at one deviation leaves a
deviation of 0.0108; fine-tuning, and our backbones by themselves, cut at an absolute 2, which cuts
nothing.

MAE, dBOT: Xavier's uniform, of a whole patch for the projection. Source: facebookresearch/mae,
models_mae.py; liuxingbin/dbot, models_mae.py, which draws so at the start of each stage.

MoCo v3: Xavier's uniform, of queries, keys and values each by itself. Source:
facebookresearch/moco-v3, vits.py.
"""

import torch
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


@torch.no_grad()
def draw_mae(part: nn.Module) -> None:
    """Draw all of a MIMViT, or of MAE's decoder, again; the projection's bias stays, as released.

    Raises:
        ValueError: layer scale, whose start is not known here.
    """
    for module in part.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight.view(len(module.weight), -1))
        if isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
    for name, weight in part.named_parameters():
        if name.rpartition('.')[2].startswith('gamma_'):
            raise ValueError('dBOT draws the student again: leave layer_scale out of the backbone')
        if name.endswith('bias') and name != 'patch_embed.proj.bias':
            nn.init.zeros_(weight)
        elif name.endswith(('token', 'tokens', 'pos_embed')) and weight.requires_grad:
            nn.init.normal_(weight, std=STD)


def draw_mocov3(backbone: MIMViT) -> None:
    """Draw all of a MIMViT again as MoCo v3 does; norms and fixed positions stay."""
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            rows = module.weight.detach().view(len(module.weight), -1)  # of a whole patch
            for part in rows.chunk(3) if name.endswith('.qkv') else [rows]:
                nn.init.xavier_uniform_(part)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if backbone.cls_token is not None:
        nn.init.normal_(backbone.cls_token, std=1e-6)
