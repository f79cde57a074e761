"""BEiT v2: BEiT on semantic tokens, and a CLS token that must sum up the image.

L = CE(h(norm(x_L)), z) + CE(h(norm(f([cls_L, x_l]))), z)        both at hidden patches
    x_l: patch tokens after block l; cls_L: CLS token after the last; f: two blocks; h: lm_head
paper: arXiv 2208.06366, sections 3.2 and 3.3; 85.0 (300 epochs) and 85.5 (1600) top-1 with ViT-B
mask   75 of 196 patches in blocks, maskers/blockwise.py   target  ids of VQ-KD, tokenizers/vqkd.py
head   lm_head and norm shared by both branches            recipe  configs/pretrain/beitv2.py
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mim_backbones.backbones.archs import vit_size
from mim_backbones.backbones.layers.block import (
    Block,
    rising_rates,
    run_block,
    shrink_outputs,
)
from mim_backbones.backbones.layers.rel_pos_bias import RelPosBias
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from pretrain.methods.base import Infer
from pretrain.methods.beit import BEiT, released_config
from pretrain.methods.start import draw_block, draw_linear
from pretrain.registry import MODELS

# What a block of the backbone is made from; both classes have the same defaults.
BLOCK_OPTIONS = ('mlp_ratio', 'qkv_bias', 'layer_scale', 'norm_eps')
# After which block the released models take the patch tokens; no shape shows it.
EARLY_LAYERS = {12: 9, 24: 21}
STARTS = ('published', 'beit')


@MODELS.register_module()
class BEiTv2(BEiT):
    """BEiT with CLS patch aggregation. Its blocks `cls_pt_layers` serve pre-training only.

    Args:
        early_layers: l, blocks that the patch tokens of the second branch have passed.
        head_layers: blocks of f; 0 leaves the second branch out.
        shared_lm_head: whether both branches share norm and lm_head; False gives the second one
            `cls_pt_norm` and `cls_pt_lm_head`.
        cls_start: 'published' repeats the released code, which makes f after all the drawing
            and so leaves its linear layers at PyTorch's uniform start, biases included. 'beit'
            draws f as the other blocks.
        backbone, target, mean, std: see `BEiT`.

    Raises:
        ValueError: early_layers is not one of the backbone's blocks, the backbone has no CLS
            token, or cls_start has no such value.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        target: dict[str, Any],
        early_layers: int = 9,
        head_layers: int = 2,
        shared_lm_head: bool = True,
        cls_start: str = 'published',
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, target, mean, std, data_preprocessor)
        self.early_layers = early_layers
        self.cls_pt_layers = self.cls_pt_norm = self.cls_pt_lm_head = None
        if not head_layers:
            return
        depth, dim = self.backbone.depth, self.backbone.embed_dim
        if not 0 < early_layers <= depth:
            raise ValueError(f'BEiTv2: early_layers {early_layers} is not in 1..{depth}')
        if self.backbone.num_prefix != 1 or not self.backbone.num_cls:
            raise ValueError('BEiTv2: needs cls_token=True, num_registers=0; or head_layers=0')
        if cls_start not in STARTS:
            raise ValueError(f'BEiTv2: cls_start={cls_start!r}; known: {", ".join(STARTS)}')
        options = {key: backbone[key] for key in BLOCK_OPTIONS if key in backbone}
        last = backbone.get('drop_path_rate', 0.0)
        rates = rising_rates(last, max(depth, early_layers + head_layers))[early_layers:]
        heads, tables = self.backbone.num_heads, self.backbone.blocks[0].rel_pos_bias is not None
        self.cls_pt_layers = nn.ModuleList(
            Block(
                dim, heads, drop_path=rate, **options,
                rel_pos_bias=RelPosBias(self.backbone.grid, heads, True) if tables else None,
            )
            for rate in rates[:head_layers]
        )  # fmt: skip
        for number, block in enumerate(self.cls_pt_layers, early_layers + 1):
            if cls_start == 'beit':
                draw_block(block)
            shrink_outputs(block, number)
        if not shared_lm_head:
            self.cls_pt_norm = nn.LayerNorm(dim, eps=self.backbone.norm.eps)
            self.cls_pt_lm_head = nn.Linear(dim, self.target.width)
            draw_linear(self.cls_pt_lm_head)

    def patch_tokens(self, image: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Normed patch tokens (B, N, D): 'mim' of the last block, 'cls' of the second branch."""
        if self.cls_pt_layers is None:
            return super().patch_tokens(image, mask)
        vit = self.backbone
        image = self.normalise(image)
        early, last = vit.block_tokens(image, (self.early_layers - 1, -1), mask)
        x = torch.cat([last[:, :1], early[:, 1:]], dim=1)
        grid = (image.shape[-2] // vit.patch_size, image.shape[-1] // vit.patch_size)
        bias = vit.relative_bias(grid)
        for block in self.cls_pt_layers:
            x = run_block(block, vit.with_cp, x, grid, bias)
        norm = vit.norm if self.cls_pt_norm is None else self.cls_pt_norm
        return {'mim': vit.norm(last[:, 1:]), 'cls': norm(x[:, 1:])}

    def head_of(self, branch: str) -> nn.Linear:
        own = branch == 'cls' and self.cls_pt_lm_head is not None
        return self.cls_pt_lm_head if own else self.lm_head

    @classmethod
    def described(
        cls, content: Content, names: set[str], infer: Infer, options: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Source of the names: microsoft/unilm, beit2; without shared heads, cls_pt_norm too."""
        layers = {name.split('.')[1] for name in names if name.startswith('cls_pt_layers.')}
        if 'lm_head.weight' not in names or not layers:
            return None
        backbone = infer()
        depth = vit_size(backbone['arch'])['depth']
        early = (
            options.get('early_layers')
            or content.said.get('early_layers')
            or EARLY_LAYERS.get(depth)
        )
        if early is None:
            raise CheckpointError(
                f'checkpoint {content.name}: which block the CLS branch starts from is not in the '
                f'file, and {depth} blocks are no published size; give --early-layers'
            )
        if early > depth:
            raise CheckpointError(
                f'checkpoint {content.name}: early_layers {early} are more than its {depth} blocks'
            )
        return {
            **released_config('BEiTv2', content, backbone),
            'early_layers': early,
            'head_layers': len(layers),
            'shared_lm_head': 'cls_pt_lm_head.weight' not in names,
        }
