"""MIMViT: one plain vision transformer for pre-training and for every downstream task.

    image -> patch_embed -> (hidden tokens -> mask_token) -> [CLS] + pos_embed -> blocks -> norm

Options cover the dialects of MAE (arXiv 2111.06377), SimMIM (2111.09886), BEiT (2106.08254),
BEiT v2 (2208.06366), MAE-Lite (2205.14443) and ViTDet's windowed blocks (2203.16527).
"""

from collections.abc import Sequence

import torch
import torch.nn as nn
from timm.layers import trunc_normal_
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recompute

from mim_backbones.archs import VIT, ViTSize
from mim_backbones.backbone import MIMBackbone
from mim_backbones.layers.block import Block
from mim_backbones.layers.patch_embed import PatchEmbed
from mim_backbones.layers.pos_embed import resize_pos_embed, sincos_pos_embed
from mim_backbones.layers.rel_pos_bias import RelPosBias
from mim_backbones.registry import MODELS

Grid = tuple[int, int]


@MODELS.register_module()
class MIMViT(MIMBackbone):
    """Plain ViT.

    Args:
        arch: a name of `archs.VIT` or a dict with embed_dim, depth, num_heads.
        img_size: side (or (H, W)) of the images the position tables are made for; any other
            multiple of the patch size works at run time, the tables are resized.
        patch_size: side of a patch in pixels.
        out_indices: blocks whose output `forward` returns; negative counts from the end.
        pos_embed: 'learned', 'sincos' (fixed) or 'none'.
        rel_pos_bias: 'none', 'shared' (one table for all blocks) or 'per_block'.
        cls_token: whether a CLS token is put first.
        mask_token: whether the vector that replaces hidden tokens exists (pre-training).
        qkv_bias: 'joint', 'qv' (BEiT: no key bias) or 'none'.
        layer_scale: start value of the layer scale; None for no layer scale.
        final_norm: LayerNorm after the last block, applied to the last block's output only.
        drop_path_rate: rate of the last block; rises linearly from 0.
        window_size: side of the attention windows in tokens, 0 for global attention (ViTDet).
        global_blocks: blocks that stay global when window_size > 0.
        decomposed_rel_pos: ViTDet's decomposed relative positions in every block.
        frozen_stages: -1 nothing; 0 the embedding; n the embedding and the first n blocks.
        with_cp: recompute blocks in the backward pass to save memory.

    Raises:
        ValueError: an option has no such value, or windows are asked for with a CLS token.
    """

    def __init__(
        self,
        arch: str | ViTSize = 'base',
        img_size: int | Grid = 224,
        patch_size: int = 16,
        in_channels: int = 3,
        out_indices: Sequence[int] = (-1,),
        pos_embed: str = 'learned',
        rel_pos_bias: str = 'none',
        cls_token: bool = True,
        mask_token: bool = False,
        qkv_bias: str = 'joint',
        layer_scale: float | None = None,
        final_norm: bool = True,
        mlp_ratio: float = 4.0,
        norm_eps: float = 1e-6,
        drop_path_rate: float = 0.0,
        window_size: int = 0,
        global_blocks: Sequence[int] = (),
        decomposed_rel_pos: bool = False,
        frozen_stages: int = -1,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        size = named_size(arch)
        one_of('pos_embed', pos_embed, ('learned', 'sincos', 'none'))
        one_of('rel_pos_bias', rel_pos_bias, ('none', 'shared', 'per_block'))
        one_of('qkv_bias', qkv_bias, ('joint', 'qv', 'none'))
        if window_size and cls_token:
            raise ValueError(
                'MIMViT: windowed blocks have no place for a CLS token; cls_token=False'
            )
        if window_size and rel_pos_bias != 'none':
            raise ValueError('MIMViT: windowed blocks take decomposed_rel_pos, not rel_pos_bias')
        self.embed_dim = size['embed_dim']
        self.depth = size['depth']
        self.num_heads = size['num_heads']
        self.patch_size = patch_size
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        self.grid: Grid = (height // patch_size, width // patch_size)
        self.out_indices = tuple(i % self.depth for i in out_indices)
        self.num_prefix = int(cls_token)
        self.window_size = window_size
        self.frozen_stages = frozen_stages
        self.with_cp = with_cp

        dim = self.embed_dim
        self.patch_embed = PatchEmbed(patch_size, in_channels, dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if cls_token else None
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim)) if mask_token else None
        self.pos_embed = self._make_pos_embed(pos_embed)
        self.rel_pos_bias = None
        if rel_pos_bias == 'shared':
            self.rel_pos_bias = RelPosBias(self.grid, self.num_heads, cls_token)
        drop_path = torch.linspace(0, drop_path_rate, self.depth).tolist()
        self.blocks = nn.ModuleList()
        for i in range(self.depth):
            windowed = bool(window_size) and i not in {g % self.depth for g in global_blocks}
            around = (window_size, window_size) if windowed else self.grid
            own_bias = rel_pos_bias == 'per_block'
            self.blocks.append(
                Block(
                    dim,
                    self.num_heads,
                    mlp_ratio=mlp_ratio,
                    qkv_bias=qkv_bias,
                    drop_path=drop_path[i],
                    layer_scale=layer_scale,
                    norm_eps=norm_eps,
                    rel_pos_bias=RelPosBias(self.grid, self.num_heads, cls_token)
                    if own_bias
                    else None,
                    window_size=window_size if windowed else 0,
                    decomposed_grid=around if decomposed_rel_pos else None,
                )
            )
        self.norm = nn.LayerNorm(dim, eps=norm_eps) if final_norm else nn.Identity()
        self._draw_weights()
        self._freeze()

    # ------------------------------------------------------------------ image -> features

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """image (B, C, H, W) -> one map (B, D, H/p, W/p) per out_index."""
        return self.intermediates(image, self.out_indices, norm_last=True)

    def forward_tokens(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Last map (B, D, H/p, W/p), after the final norm.

        mask: (B, H/p, W/p) bool, True = hidden: those tokens are replaced by the mask token
        after the patch projection and before the positions (SimMIM, BEiT).
        """
        x, grid = self._embed(image, mask)
        bias = self._shared_bias(grid)
        for block in self.blocks:
            x = self._run(block, x, grid, bias)
        return to_map(self.norm(x), grid, self.num_prefix)

    def forward_visible(self, image: Tensor, mask: Tensor) -> Tensor:
        """Encode the visible tokens only (MAE): (B, prefix + V, D), raster order, final norm.

        mask: (B, H/p, W/p) bool, True = hidden; every image hides the same number of tokens.

        Raises:
            ValueError: the images hide different numbers of tokens.
        """
        visible = ~mask.flatten(1)
        counts = visible.sum(1)
        if (counts != counts[0]).any():
            raise ValueError('MIMViT.forward_visible: images hide different numbers of tokens')
        x, _ = self._embed(image, None)
        prefix, patches = x[:, : self.num_prefix], x[:, self.num_prefix :]
        patches = patches[visible].view(len(x), int(counts[0]), -1)
        return self.encode(torch.cat([prefix, patches], dim=1))

    def intermediates(
        self, image: Tensor, indices: Sequence[int], norm_last: bool = False
    ) -> tuple[Tensor, ...]:
        """Outputs of the blocks `indices` as maps (B, D, H/p, W/p), in one pass.

        norm_last: apply the final norm to the last block's output.
        """
        x, grid = self._embed(image, None)
        bias = self._shared_bias(grid)
        wanted = [i % self.depth for i in indices]
        maps = {}
        for i, block in enumerate(self.blocks[: max(wanted) + 1]):
            x = self._run(block, x, grid, bias)
            if i in wanted:
                last = norm_last and i == self.depth - 1
                maps[i] = to_map(self.norm(x) if last else x, grid, self.num_prefix)
        return tuple(maps[i] for i in wanted)

    def embed_patches(self, image: Tensor) -> Tensor:
        """Patch tokens with their absolute positions, no CLS: (B, H/p * W/p, D), raster order."""
        x = self.patch_embed(image)
        grid = (x.shape[-2], x.shape[-1])
        return x.flatten(2).transpose(1, 2) + self._positions(grid)[:, self.num_prefix :]

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens of any origin (B, N, D) through all blocks and the final norm.

        Global attention without relative bias: the tokens may come from two images (one-stream
        tracking) or be visible ones only.

        Raises:
            ValueError: the backbone was made with windows or relative positions.
        """
        if self.window_size or self.rel_pos_bias is not None or self._per_block_bias:
            raise ValueError(
                'MIMViT.encode: tokens that form no grid have no windows or relative positions; '
                "build with window_size=0, rel_pos_bias='none', decomposed_rel_pos=False"
            )
        for block in self.blocks:
            tokens = self._run(block, tokens, None, None)
        return self.norm(tokens)

    # ------------------------------------------------------------------ pieces

    @property
    def _per_block_bias(self) -> bool:
        first = self.blocks[0]
        return first.rel_pos_bias is not None or first.attn.decomposed_grid is not None

    def _embed(self, image: Tensor, mask: Tensor | None) -> tuple[Tensor, Grid]:
        x = self.patch_embed(image)
        grid = (x.shape[-2], x.shape[-1])
        x = x.flatten(2).transpose(1, 2)
        if mask is not None:
            assert self.mask_token is not None, 'a mask needs a backbone with mask_token=True'
            x = torch.where(mask.flatten(1)[..., None], self.mask_token.to(x.dtype), x)
        positions = self._positions(grid)
        x = x + positions[:, self.num_prefix :]
        if self.cls_token is not None:
            cls = (self.cls_token + positions[:, :1]).to(x.dtype)
            x = torch.cat([cls.expand(len(x), -1, -1), x], dim=1)
        return x, grid

    def _positions(self, grid: Grid) -> Tensor:
        """(1, prefix + N, D), or zeros of shape (1, prefix + 1, 1) when there are none."""
        if self.pos_embed is None:
            return self.patch_embed.proj.weight.new_zeros(1, self.num_prefix + 1, 1)
        return resize_pos_embed(self.pos_embed, self.grid, grid, self.num_prefix)

    def _shared_bias(self, grid: Grid) -> Tensor | None:
        return None if self.rel_pos_bias is None else self.rel_pos_bias(grid)

    def _run(self, block: nn.Module, x: Tensor, grid: Grid | None, bias: Tensor | None) -> Tensor:
        if self.with_cp and x.requires_grad:
            return recompute(block, x, grid, bias, use_reentrant=False)
        return block(x, grid, bias)

    def _make_pos_embed(self, kind: str) -> nn.Parameter | None:
        if kind == 'none':
            return None
        if kind == 'sincos':
            table = sincos_pos_embed(self.embed_dim, self.grid, self.num_prefix)
            return nn.Parameter(table, requires_grad=False)
        count = self.num_prefix + self.grid[0] * self.grid[1]
        return nn.Parameter(trunc_normal_(torch.zeros(1, count, self.embed_dim), std=0.02))

    def _draw_weights(self) -> None:
        """Truncated normal, std 0.02; residual outputs shrink with depth (BEiT, SimMIM)."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for token in (self.cls_token, self.mask_token):
            if token is not None:
                trunc_normal_(token, std=0.02)
        with torch.no_grad():
            for i, block in enumerate(self.blocks):
                block.attn.proj.weight.div_((2 * (i + 1)) ** 0.5)
                block.mlp.fc2.weight.div_((2 * (i + 1)) ** 0.5)

    # ------------------------------------------------------------------ training

    def train(self, mode: bool = True) -> 'MIMViT':
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        for tensor in (self.cls_token, self.mask_token, self.pos_embed):
            if tensor is not None:
                tensor.requires_grad_(False)
        for module in (self.patch_embed, *self.blocks[: self.frozen_stages]):
            module.eval()
            module.requires_grad_(False)

    def get_layer_depth(self, name: str, prefix: str = '') -> tuple[int, int]:
        """Embeddings 0, block i is i + 1, everything else (norm, shared bias) the last depth."""
        count = self.depth + 2
        if not name.startswith(prefix):
            return count - 1, count
        parts = name.removeprefix(prefix).split('.')
        if parts[0] in ('cls_token', 'mask_token', 'pos_embed', 'patch_embed'):
            return 0, count
        if parts[0] == 'blocks':
            return int(parts[1]) + 1, count
        return count - 1, count

    def no_weight_decay(self) -> set[str]:
        """Names exempt from weight decay beside biases and 1-D tensors."""
        return {'pos_embed', 'cls_token', 'mask_token'}


def named_size(arch: str | ViTSize) -> ViTSize:
    """The row of `archs.VIT`, or the given sizes.

    Raises:
        ValueError: no such name, or not the three sizes.
    """
    if isinstance(arch, str) and arch in VIT:
        return VIT[arch]
    if isinstance(arch, dict) and set(arch) == set(ViTSize.__annotations__):
        return arch
    raise ValueError(
        f'MIMViT: arch {arch!r}; known: {", ".join(VIT)}, or a dict of '
        f'{", ".join(ViTSize.__annotations__)}'
    )


def one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    """Raises ValueError when `value` is not among the known values of an option."""
    if value not in known:
        raise ValueError(f'MIMViT: {option}={value!r}; known: {", ".join(known)}')


def to_map(tokens: Tensor, grid: Grid, num_prefix: int) -> Tensor:
    """(B, prefix + H*W, D) -> (B, D, H, W), prefix tokens dropped."""
    return tokens[:, num_prefix:].transpose(1, 2).unflatten(2, grid).contiguous()
