"""MIMViT: one plain vision transformer for pre-training and for every downstream task.

    image -> patch_embed -> (hidden tokens -> mask_token) -> + pos_embed -> [CLS, registers]
          -> (norm_pre) -> blocks -> norm

Options cover the dialects of MAE (arXiv 2111.06377), SimMIM (2111.09886), BEiT (2106.08254),
BEiT v2 (2208.06366), MoCo v3 (2104.02057), MAE-Lite (2205.14443), DINOv2 with registers
(2309.16588), ViTDet's windowed blocks (2203.16527), CLIP (2103.00020), SigLIP (2303.15343),
EVA-02 (2303.11331) and DINOv3 (2508.10104).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn as nn
from timm.layers import trunc_normal_
from torch import Tensor

from mim_backbones.backbones.archs import ViTSize, vit_size
from mim_backbones.backbones.base import TOKENS, MIMBackbone, check_option, grid_of
from mim_backbones.backbones.layers.block import Block, rising_rates, shrink_outputs
from mim_backbones.backbones.layers.mlp import ACTIVATIONS, MLPS
from mim_backbones.backbones.layers.patches import PatchEmbed
from mim_backbones.backbones.layers.pos_embed import Resize, resize_pos_embed, sincos_pos_embed
from mim_backbones.backbones.layers.rel_pos_bias import RelPosBias
from mim_backbones.backbones.layers.rope import Rotation, make_rope
from mim_backbones.backbones.layers.tokens import pool_tokens, take, to_map, visible_indices
from mim_backbones.backbones.position_tables import fit_vit_tables
from mim_backbones.registry import MODELS

Grid = tuple[int, int]
# (number of a block, attention) -> (B, K) int64, the places of the tokens that stay, in the order
# in which they go on; None: all. attention((R,) int64) is what the block's queries at R places give
# to all its keys, (B, heads, R, N), without gradient; places count the tokens still there.
Choose = Callable[[int, Callable[[Tensor], Tensor]], Tensor | None]
POS_EMBEDS = ('learned', 'sincos', 'sincos-row-first', 'none')


@MODELS.register_module()
class MIMViT(MIMBackbone):
    """Plain ViT.

    Args:
        arch: a name of `archs.VIT` or a dict with embed_dim, depth, num_heads.
        img_size: side (or (H, W)) of the images the position tables are made for; any other size
            works at run time, the tables are resized.
        patch_size: side of a patch in pixels.
        out_indices: blocks whose output `forward` returns; negative counts from the end.
        pos_embed: 'learned', 'sincos' (fixed, MAE: column first), 'sincos-row-first' (fixed,
            MoCo v3) or 'none'.
        pos_embed_size: side (or (H, W)) of the images that table is made for, where it is not
            img_size (ViTDet keeps its pre-training's and resizes it in every pass).
        pos_resize: how it goes to other grids, arguments of `layers.pos_embed.Resize`; bicubic
            without antialias by default.
        rel_pos_bias: 'none', 'shared' (one table for all blocks) or 'per_block'.
        cls_token: whether a CLS token is put first.
        num_registers: register tokens after CLS, without positions (DINOv2).
        mask_token: whether the vector that replaces hidden tokens exists (pre-training).
        qkv_bias: 'joint', 'qv' (BEiT: no key bias) or 'none'.
        layer_scale: start value of the layer scale; None for no layer scale.
        final_norm: LayerNorm `norm` after the last block.
        output_norm: what `forward` applies it to: 'last', the last block's output alone, or
            'each', every returned map (iBOT's segmentation).
        norm_pre: LayerNorm `norm_pre` of all tokens before the first block (CLIP).
        patch_bias: whether the patch projection has a bias (CLIP: none).
        mlp: 'plain' or 'swiglu' (DINOv2-giant, EVA-02, DINOv3's larger ones).
        mlp_ratio: hidden width of the MLP (of SwiGLU's gate) in widths of the model.
        act: activation of the plain MLP: 'gelu', 'gelu_tanh' (SigLIP), 'quick_gelu' (OpenAI's
            CLIP), 'silu' or 'relu'.
        mlp_norm, attn_norm: a LayerNorm before the last layer of the MLP, of the attention (EVA-02,
            EVA-CLIP).
        qk_norm: a LayerNorm over each head's query and key.
        rope: rotary positions: 'none', a name of `layers.rope.ROPES` ('eva02', 'dinov3') or the
            arguments of `layers.rope.Rope`. Each window, and each image of `encode`, counts from
            its own corner.
        fc_norm: LayerNorm of the pooled vector in `forward_pooled` (mean pooling; BEiT and MAE
            then leave out the final norm).
        drop_path_rate: rate of the last block; rises linearly from 0.
        attn_drop_rate: at which queries miss keys in training, in every block without
            decomposed positions (data2vec).
        window_size: side of the attention windows in tokens, 0 for global attention (ViTDet).
        global_blocks: blocks that stay global when window_size > 0.
        decomposed_rel_pos: ViTDet's decomposed relative positions in every block.
        frozen_stages: -1 nothing; 0 the embedding; n the embedding and the first n blocks.
        with_cp: recompute blocks in the backward pass to save memory.

    Raises:
        ValueError: an option has no such value, img_size is not a multiple of patch_size, or
            windows or a relative bias meet tokens they have no place for.
    """

    def __init__(
        self,
        arch: str | ViTSize = 'base',
        img_size: int | Grid = 224,
        patch_size: int = 16,
        in_channels: int = 3,
        out_indices: Sequence[int] = (-1,),
        pos_embed: str = 'learned',
        pos_embed_size: int | Grid | None = None,
        pos_resize: dict | None = None,
        rel_pos_bias: str = 'none',
        cls_token: bool = True,
        num_registers: int = 0,
        mask_token: bool = False,
        qkv_bias: str = 'joint',
        layer_scale: float | None = None,
        final_norm: bool = True,
        output_norm: str = 'last',
        fc_norm: bool = False,
        norm_pre: bool = False,
        patch_bias: bool = True,
        mlp: str = 'plain',
        mlp_ratio: float = 4.0,
        act: str = 'gelu',
        mlp_norm: bool = False,
        attn_norm: bool = False,
        qk_norm: bool = False,
        rope: str | Mapping[str, Any] | None = None,
        norm_eps: float = 1e-6,
        drop_path_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        window_size: int = 0,
        global_blocks: Sequence[int] = (),
        decomposed_rel_pos: bool = False,
        frozen_stages: int = -1,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        size = vit_size(arch)
        check_option('MIMViT', 'pos_embed', pos_embed, POS_EMBEDS)
        check_option('MIMViT', 'rel_pos_bias', rel_pos_bias, ('none', 'shared', 'per_block'))
        check_option('MIMViT', 'qkv_bias', qkv_bias, ('joint', 'qv', 'none'))
        check_option('MIMViT', 'mlp', mlp, MLPS)
        check_option('MIMViT', 'output_norm', output_norm, ('last', 'each'))
        check_option('MIMViT', 'act', act, tuple(ACTIVATIONS))
        if window_size and (cls_token or num_registers):
            raise ValueError(
                'MIMViT: windowed blocks have no place for a CLS token or registers; '
                'cls_token=False, num_registers=0'
            )
        if window_size and rel_pos_bias != 'none':
            raise ValueError('MIMViT: windowed blocks take decomposed_rel_pos, not rel_pos_bias')
        if num_registers and (rel_pos_bias != 'none' or decomposed_rel_pos):
            raise ValueError('MIMViT: register tokens have no relative positions; leave those out')
        if decomposed_rel_pos and rope not in (None, 'none'):
            raise ValueError('MIMViT: decomposed_rel_pos and rope exclude each other')
        self.embed_dim = size['embed_dim']
        self.depth = size['depth']
        self.num_heads = size['num_heads']
        self.patch_size = self.mask_size = self.stride = patch_size
        self.grid: Grid = grid_of('MIMViT', img_size, patch_size)
        self.pos_grid: Grid = grid_of('MIMViT', pos_embed_size or img_size, patch_size)
        self.pos_resize = Resize(**pos_resize or {})
        self.out_indices = tuple(i % self.depth for i in out_indices)
        self.num_features = (self.embed_dim,) * len(self.out_indices)
        self.num_cls = int(cls_token)  # also the rows of pos_embed before the patches'
        self.num_prefix = self.num_cls + num_registers
        self.window_size = window_size
        self.output_norm = output_norm
        self.frozen_stages = frozen_stages
        self.with_cp = with_cp

        dim = self.embed_dim
        self.patch_embed = PatchEmbed(patch_size, in_channels, dim, patch_bias)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if cls_token else None
        self.register_tokens = (
            nn.Parameter(torch.zeros(1, num_registers, dim)) if num_registers else None
        )
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim)) if mask_token else None
        self.pos_embed = self._make_pos_embed(pos_embed)
        self.rel_pos_bias = None
        if rel_pos_bias == 'shared':
            self.rel_pos_bias = RelPosBias(self.grid, self.num_heads, cls_token)
        self.act = act if mlp == 'plain' else None
        self.rope = make_rope(rope, dim // self.num_heads)
        self.norm_pre = nn.LayerNorm(dim, eps=norm_eps) if norm_pre else nn.Identity()
        drop_path = rising_rates(drop_path_rate, self.depth)
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
                    mlp=mlp,
                    act=act,
                    mlp_norm=mlp_norm,
                    qkv_bias=qkv_bias,
                    qk_norm=qk_norm,
                    attn_norm=attn_norm,
                    drop_path=drop_path[i],
                    attn_drop=attn_drop_rate,
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
        self.fc_norm = nn.LayerNorm(dim, eps=norm_eps) if fc_norm else nn.Identity()
        self._draw_weights()
        self._freeze()

    # ------------------------------------------------------------------ image -> features

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """image (B, C, H, W) -> one map (B, D, ceil(H/p), ceil(W/p)) per out_index.

        Any size: an image of no whole patches is padded by zeros at right and bottom.
        """
        return self.intermediates(image, self.out_indices, norm_last=True)

    def forward_tokens(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Last map (B, D, ceil(H/p), ceil(W/p)), after the final norm.

        mask: (B, H/p, W/p) bool, True = hidden: those tokens are replaced by the mask token
        after the patch projection and before the positions (SimMIM, BEiT). Images are then of
        whole patches.

        Raises:
            UserError: the mask is not the image's, or there is no mask token.
        """
        (tokens,) = self.block_tokens(image, (-1,), mask)
        return to_map(self.norm(tokens), self._grid_of(image), self.num_prefix)

    def forward_visible(
        self, image: Tensor, mask: Tensor | None = None, keep: Tensor | None = None
    ) -> Tensor:
        """Encode some tokens only (MAE): (B, prefix + V, D), after the final norm.

        Args:
            mask: (B, H/p, W/p) bool, True = hidden; the visible tokens run in raster order.
            keep: in its place, (B, V) int64 raster places of the tokens to encode, which run in
                this order. Needs no look at the numbers, so that a GPU is not kept waiting.

        Raises:
            UserError: the mask is not the image's, or hides different numbers of tokens.
            ValueError: the backbone has windows or relative positions.
        """
        assert (mask is None) != (keep is None), 'either mask or keep'
        if mask is not None:
            self._check_mask(mask, image)
            keep = visible_indices(mask)
        return self.norm(self.block_tokens(image, (-1,), keep=keep)[0])

    def forward_pooled(self, image: Tensor, pool: str = 'mean') -> Tensor:
        """One vector (B, D) per image for a classifier, after `norm` and `fc_norm`.

        pool: 'cls', 'mean' (of the patch tokens) or 'cls_mean' (both, 2 D wide).
        """
        (tokens,) = self.block_tokens(image, (-1,))
        return self.fc_norm(pool_tokens(self.norm(tokens), self.num_prefix, pool))

    def intermediates(
        self, image: Tensor, indices: Sequence[int], norm_last: bool = False
    ) -> tuple[Tensor, ...]:
        """Outputs of the blocks `indices` as maps (B, D, ceil(H/p), ceil(W/p)), in one pass.

        norm_last: apply the final norm to the last block's output, or to all as `output_norm` says.
        """
        grid, last = self._grid_of(image), self.depth - 1
        outputs = zip(indices, self.block_tokens(image, indices), strict=True)
        each = self.output_norm == 'each'
        return tuple(
            to_map(
                self.norm(x) if norm_last and (each or i % self.depth == last) else x,
                grid,
                self.num_prefix,
            )
            for i, x in outputs
        )

    def probe_features(
        self, image: Tensor, indices: Sequence[int], pool: str = 'cls_mean'
    ) -> tuple[Tensor, ...]:
        """Pooled outputs of the blocks `indices`, no norm: (B, D), or (B, 2 D) with 'cls_mean'."""
        outputs = self.block_tokens(image, indices)
        return tuple(pool_tokens(x, self.num_prefix, pool) for x in outputs)

    def block_tokens(
        self,
        image: Tensor,
        indices: Sequence[int],
        mask: Tensor | None = None,
        keep: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Outputs of the blocks `indices` as tokens (B, prefix + N, D), no norm, in one pass.

        The CLS token comes first, then registers, then patches. mask hides tokens as in
        `forward_tokens`, keep drops them as in `forward_visible`.
        """
        places = [i % self.depth + 1 for i in indices]
        return self.block_inputs(image, places, mask, keep)

    def block_inputs(
        self,
        image: Tensor,
        places: Sequence[int],
        mask: Tensor | None = None,
        keep: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """What goes into the blocks `places`, as tokens; place `depth` is behind the last block.

        No block runs that lies behind the last place. mask, keep: see `block_tokens`.
        """
        x, grid = self._embed(image, mask, keep)
        bias = self.relative_bias(grid) if keep is None else None
        whole, window = self._rotations(grid, x.device, keep)
        found = {0: x}
        for i, block in enumerate(self.blocks[: max(places)]):
            rope = window if block.window_size else whole
            x = self._run(block, x, grid if keep is None else None, bias, rope)
            if i + 1 in places:
                found[i + 1] = x
        return tuple(found[place] for place in places)

    def mlp_branches(self, image: Tensor, indices: Sequence[int]) -> tuple[Tensor, ...]:
        """What the MLPs of the blocks `indices` add to the tokens (B, prefix + N, D), in one pass.

        After their layer scale, without drop path: targets of data2vec.
        """
        places = [i % self.depth for i in indices]
        x, grid = self._embed(image, None)
        bias = self.relative_bias(grid)
        whole, window = self._rotations(grid, x.device, None)
        found = {}
        for i, block in enumerate(self.blocks[: max(places) + 1]):
            x = block.attended(x, grid, bias, window if block.window_size else whole)
            found[i] = block.mlp_branch(x)
            x = x + block.drop_path(found[i])
        return tuple(found[place] for place in places)

    def attention_logits(
        self, block: nn.Module, x: Tensor, grid: Grid, keep: Tensor | None = None
    ) -> Tensor:
        """Logits of a block's attention before the softmax, (B, heads, N, N) float32, CLS first.

        Made beside the block, which goes on with its fused kernel.

        Args:
            block: one of `blocks`, or what else has their norm1 and attn.
            x: what goes into it (B, N, D), see `block_inputs`.
            grid: (H, W) of the image's patches; of which keep (B, V) are there, if given.

        Raises:
            ValueError: a block with windows or decomposed positions, which has no one such map.
        """
        if block.window_size or block.attn.decomposed_grid is not None:
            raise ValueError(
                'MIMViT.attention_logits: windows and decomposed positions have no logits of all '
                'pairs of tokens; build with window_size=0, decomposed_rel_pos=False'
            )
        tables = (self.rel_pos_bias, block.rel_pos_bias) if keep is None else ()
        biases = [table(grid) for table in tables if table is not None]
        bias = torch.stack(biases).sum(0) if biases else None
        rope, _ = self._rotations(grid, x.device, keep)
        return block.attn.logits(block.norm1(x), bias, rope)

    def related(self, block: nn.Module, place: int) -> str:
        """In words, which tokens `attention_logits` of a block at `place` relate."""
        return f'all patches, with {self.num_prefix} tokens beside'

    def embed_patches(self, image: Tensor) -> Tensor:
        """Patch tokens with their absolute positions, no CLS: (B, N, D), raster order."""
        x = self.patch_embed(image)
        grid = (x.shape[-2], x.shape[-1])
        return x.flatten(2).transpose(1, 2) + self._positions(grid)[:, self.num_cls :]

    def encode(self, tokens: Tensor, grids: Sequence[Grid], choose: Choose | None = None) -> Tensor:
        """Patch tokens of several images (B, N, D) together through all blocks and final norm.

        Every token sees every other, of all images (one-stream tracking). A relative bias holds
        within an image; rotary positions count from the corner of each.

        Args:
            grids: (H, W) of each image's patches, in the order of the tokens.
            choose: which tokens go on to a block's MLP and the blocks behind it, see `Choose`.
                The others come out as zeros.

        Raises:
            ValueError: the backbone was made with windows or decomposed positions.
        """
        if self.window_size or self.blocks[0].attn.decomposed_grid is not None:
            raise ValueError(
                'MIMViT.encode: tokens of several images have no windows or decomposed '
                'positions; build with window_size=0, decomposed_rel_pos=False'
            )
        shared = None if self.rel_pos_bias is None else self.rel_pos_bias.joined(grids)
        rope = None if self.rope is None else self.rope(grids, tokens.device)
        x, places = self.norm_pre(tokens), None
        for number, block in enumerate(self.blocks):
            own = block.rel_pos_bias
            bias = shared if own is None else own.joined(grids)
            if bias is not None and places is not None:
                bias = bias[:, places[:, :, None], places[:, None]].transpose(0, 1)
            turns = rope if rope is None or places is None else rope.of(places)
            kept = None
            if choose is not None:
                normed, attn = block.norm1(x).detach(), block.attn
                kept = choose(number, partial(attn.weights, normed, bias=bias, rope=turns))
            if kept is None:
                x = self._run(block, x, None, bias, turns)
                continue
            x = take(block.attended(x, None, bias, turns), kept)
            x = x + block.drop_path(block.mlp_branch(x))
            places = kept if places is None else take(places, kept)
        x = self.norm(x)
        if places is None:
            return x
        return torch.zeros_like(tokens, dtype=x.dtype).scatter(1, places[..., None].expand_as(x), x)

    def relative_bias(self, grid: Grid) -> Tensor | None:
        """The shared bias (heads, N, N) that every block adds, CLS first; None without one."""
        return None if self.rel_pos_bias is None else self.rel_pos_bias(grid)

    # ------------------------------------------------------------------ pieces

    def _refuse_relative(self) -> None:
        first = self.blocks[0]
        per_block = first.rel_pos_bias is not None or first.attn.decomposed_grid is not None
        if self.window_size or self.rel_pos_bias is not None or per_block:
            raise ValueError(
                'MIMViT.forward_visible: tokens that form no grid have no windows or relative '
                "positions; build with window_size=0, rel_pos_bias='none', "
                'decomposed_rel_pos=False'
            )

    def _rotations(
        self, grid: Grid, device: torch.device, keep: Tensor | None
    ) -> tuple[Rotation | None, Rotation | None]:
        """What turns the tokens of `grid`, or of its cells `keep` (B, V), and those of a window."""
        if self.rope is None:
            return None, None
        whole, side = self.rope([grid], device), self.window_size
        window = self.rope([(side, side)], device) if side else None
        return (whole if keep is None else whole.of(keep)), window

    def _grid_of(self, image: Tensor) -> Grid:
        rows, columns = (-(-side // self.patch_size) for side in image.shape[-2:])
        return rows, columns

    def _embed(
        self, image: Tensor, mask: Tensor | None, keep: Tensor | None = None
    ) -> tuple[Tensor, Grid]:
        """Tokens (B, prefix + N, D) and the image's grid, of which `keep` leaves some out."""
        x = self.patch_embed(image)
        grid = (x.shape[-2], x.shape[-1])
        x = x.flatten(2).transpose(1, 2)
        if mask is not None:
            self._check_mask_token()
            self._check_mask(mask, image)
            x = torch.where(mask.flatten(1)[..., None], self.mask_token.to(x.dtype), x)
        positions = self._positions(grid)
        x = x + positions[:, self.num_cls :]
        if keep is not None:
            self._refuse_relative()
            self._check_keep(keep, image)
            x = take(x, keep)
        prefix = []
        if self.cls_token is not None:
            prefix.append(self.cls_token + positions[:, :1])
        if self.register_tokens is not None:
            prefix.append(self.register_tokens)
        tokens = torch.cat([*(t.to(x.dtype).expand(len(x), -1, -1) for t in prefix), x], dim=1)
        return self.norm_pre(tokens), grid

    def _positions(self, grid: Grid) -> Tensor:
        """(1, cls + N, D), or zeros of shape (1, cls + 1, 1) when there are none."""
        if self.pos_embed is None:
            return self.patch_embed.proj.weight.new_zeros(1, self.num_cls + 1, 1)
        return resize_pos_embed(self.pos_embed, self.pos_grid, grid, self.num_cls, self.pos_resize)

    def _make_pos_embed(self, kind: str) -> nn.Parameter | None:
        if kind == 'none':
            return None
        if kind != 'learned':
            x_first = kind == 'sincos'
            table = sincos_pos_embed(self.embed_dim, self.pos_grid, self.num_cls, x_first)
            return nn.Parameter(table, requires_grad=False)
        count = self.num_cls + self.pos_grid[0] * self.pos_grid[1]
        return nn.Parameter(trunc_normal_(torch.zeros(1, count, self.embed_dim), std=0.02))

    def _draw_weights(self) -> None:
        """The start of BEiT's and SimMIM's fine-tuning: normal, residual outputs shrink with depth.

        Their pre-training cuts at one deviation: `pretrain.methods.start`.

        Beside the fixed sin-cos table, whose values are near 1, tokens of that size would drown;
        there MAE's start is taken: Xavier, over a whole patch for the projection.
        """
        xavier = self.pos_embed is not None and not self.pos_embed.requires_grad
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                if xavier:
                    nn.init.xavier_uniform_(module.weight.view(len(module.weight), -1))
                else:
                    trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for token in (self.cls_token, self.register_tokens, self.mask_token):
            if token is not None:
                trunc_normal_(token, std=0.02)
        if xavier:
            return
        for number, block in enumerate(self.blocks, 1):
            shrink_outputs(block, number)

    # ------------------------------------------------------------------ training

    def _frozen_parts(self) -> Iterator[nn.Module | Tensor | None]:
        yield from (self.cls_token, self.register_tokens, self.mask_token, self.pos_embed)
        yield from (self.patch_embed, self.norm_pre)
        yield from self.blocks[: self.frozen_stages]
        if self.frozen_stages > 0:
            yield self.rel_pos_bias  # every frozen block reads it

    def fit_state(
        self,
        state: dict[str, Tensor],
        source_grid: Grid | None = None,
        how: Resize | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Fit the position tables of a state dict to this backbone; {key: 'from -> to'}.

        Args:
            source_grid: patch grid of the tables in `state`; None: square.
            how: absolute positions go to another grid; None: as this backbone's own do.

        Raises:
            ValueError: a table that fits no grid.
        """
        return fit_vit_tables(
            state,
            self.state_dict(),
            self.grid,
            self.num_cls,
            source_grid,
            self.pos_grid,
            how or self.pos_resize,
        )

    def get_layer_depth(self, name: str, prefix: str = '') -> tuple[int, int]:
        """Embeddings 0, block i is i + 1, everything else (norm, shared bias) the last depth."""
        count = self.depth + 2
        if not name.startswith(prefix):
            return count - 1, count
        parts = name.removeprefix(prefix).split('.')
        if parts[0] in (*TOKENS, 'pos_embed', 'patch_embed', 'norm_pre'):
            return 0, count
        if parts[0] == 'blocks':
            return int(parts[1]) + 1, count
        return count - 1, count
