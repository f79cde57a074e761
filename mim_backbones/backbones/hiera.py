"""MIMHiera: a hierarchical transformer of plain blocks, made for masked pre-training.

    image -> 7x7 convolution of stride 4 -> (hidden units -> mask_token) -> + pos_embed
          -> 4 stages: attention within mask units in the first two, over everything after

A stage starts with a block that doubles the width and pools queries by 2 x 2. A mask unit is
8 x 8 tokens, 32 x 32 pixels: it can be dropped whole, so masked pre-training needs no mask token.
Hiera: arXiv 2306.00989. Its MAE with q_pool=2, and the small one: MAE-Lite, arXiv 2404.12210.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate

import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.layers import trunc_normal_
from torch import Tensor

from mim_backbones.backbones.archs import HieraSize, hiera_size
from mim_backbones.backbones.base import MIMBackbone, grid_of
from mim_backbones.backbones.layers.block import rising_rates, shrink_outputs
from mim_backbones.backbones.layers.hiera_block import HieraBlock, from_units, to_units
from mim_backbones.backbones.layers.pos_embed import Resize, resize_pos_embed
from mim_backbones.backbones.layers.tokens import take, to_map, visible_indices
from mim_backbones.backbones.position_tables import fit_positions
from mim_backbones.registry import MODELS

Grid = tuple[int, int]
UNIT = 8  # tokens per side of a mask unit
STAGES = 4


@MODELS.register_module()
class MIMHiera(MIMBackbone):
    """Hiera.

    Args:
        arch: a name of `archs.HIERA` or a dict with embed_dim, depths, num_heads (of stage 0).
        img_size: side (or (H, W)) the position table is made for; others work at run time.
        pos_resize: how the position table goes to other grids, arguments of
            `layers.pos_embed.Resize`; bicubic without antialias by default.
        q_pool: how many stages start with pooling: 3 gives strides 4, 8, 16, 32, and 2 (masked
            pre-training of MAE-Lite) 4, 8, 16, 16.
        out_indices: stages whose output `forward` returns.
        mask_token: whether the vector that replaces hidden units exists.
        fc_norm: LayerNorm of the pooled vector in `forward_pooled` (classifier).
        drop_path_rate: rate of the last block; rises linearly from 0.
        frozen_stages: -1 nothing; 0 the embedding; n the embedding and the first n stages.
        with_cp: recompute blocks in the backward pass to save memory.

    Attributes:
        mask_size: side in pixels of what a cell of a mask covers, 32.

    Raises:
        ValueError: an option has no such value, or img_size is not a multiple of 32.
    """

    def __init__(
        self,
        arch: str | HieraSize = 'base',
        img_size: int | Grid = 224,
        in_channels: int = 3,
        pos_resize: dict | None = None,
        q_pool: int = 3,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        mask_token: bool = False,
        fc_norm: bool = False,
        mlp_ratio: float = 4.0,
        norm_eps: float = 1e-6,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        size = hiera_size(arch)
        if q_pool not in (2, 3):
            raise ValueError(f'MIMHiera: q_pool={q_pool}; known: 2, 3')
        self.patch_size = 4
        self.mask_size = UNIT * self.patch_size
        self.stride = self.patch_size * 2**q_pool
        rows, columns = grid_of('MIMHiera', img_size, self.mask_size)
        self.grid: Grid = (rows * UNIT, columns * UNIT)
        self.pos_resize = Resize(**pos_resize or {})
        self.q_pool = q_pool
        self.embed_dim = size['embed_dim']
        self.depths = tuple(size['depths'])
        self.depth = sum(self.depths)
        self.stage_ends = tuple(end - 1 for end in accumulate(self.depths))
        self.out_indices = tuple(i % STAGES for i in out_indices)
        self.num_features = tuple(self.embed_dim * 2**i for i in self.out_indices)
        self.frozen_stages = frozen_stages
        self.with_cp = with_cp

        dim, heads = self.embed_dim, size['num_heads']
        self.patch_embed = nn.Sequential(
            OrderedDict(proj=nn.Conv2d(in_channels, dim, 7, self.patch_size, 3))
        )
        tokens = self.grid[0] * self.grid[1]
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, dim))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim)) if mask_token else None
        drop_path = rising_rates(drop_path_rate, self.depth)
        self.blocks = nn.ModuleList()
        stage = 0
        for i in range(self.depth):
            # The block that changes the stage still attends as the stage before it did.
            within_units = stage < 2
            starts = i - 1 in self.stage_ends
            stage += starts
            self.blocks.append(
                HieraBlock(
                    dim,
                    dim * 2 if starts else dim,
                    heads * 2**stage,
                    within_units=within_units,
                    pooled=starts and stage <= q_pool,
                    mlp_ratio=mlp_ratio,
                    drop_path=drop_path[i],
                    norm_eps=norm_eps,
                )
            )
            dim = dim * 2 if starts else dim
        self.fc_norm = nn.LayerNorm(dim, eps=norm_eps) if fc_norm else nn.Identity()
        self._draw_weights()
        self._freeze()

    @property
    def last_dim(self) -> int:
        """Channels of the last map; with q_pool=2 they double without a halved resolution."""
        return self.embed_dim * 2 ** (STAGES - 1)

    # ------------------------------------------------------------------ image -> features

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """image (B, C, H, W) -> one map (B, C_i, ceil(H/s_i), ceil(W/s_i)) per out_index.

        Any size: an image that is no multiple of 32 is padded by zeros right and below, and what
        comes of the padding is cut off the maps.
        """
        return self.intermediates(image, [self.stage_ends[i] for i in self.out_indices])

    def forward_tokens(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Last map (B, D, ceil(H/s), ceil(W/s)).

        mask: (B, H/32, W/32) bool, True = hidden: the pixels of those units count as zero, as the
        convolution overlaps, and their tokens are replaced by the mask token before the positions.
        Images are then of whole units.

        Raises:
            UserError: the mask is not the image's, or there is no mask token.
        """
        if mask is not None:
            self._check_mask_token()
            self._check_mask(mask, image)
        units, grid = self._embed(image, mask)
        (last,) = self._encode(units, (self.depth,))
        return self._map(last, grid, image)

    def forward_visible(
        self, image: Tensor, mask: Tensor | None = None, keep: Tensor | None = None
    ) -> Tensor:
        """Encode some mask units only: (B, V * m * m, D), m x m tokens of a unit in raster order.

        Args:
            mask: (B, H/32, W/32) bool, True = hidden; the visible units run in raster order.
            keep: in its place, (B, V) int64 raster places of the units to encode, in this order.

        Raises:
            UserError: the mask is not the image's, or hides different numbers of units.
        """
        return self.visible_units(image, (-1,), mask, keep)[0].flatten(1, 3)

    def visible_units(
        self,
        image: Tensor,
        indices: Sequence[int],
        mask: Tensor | None = None,
        keep: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Outputs of the blocks `indices` for the visible units, (B, V, m, m, C) each.

        What a decoder fuses over stages; mask, keep: see `forward_visible`.
        """
        assert (mask is None) != (keep is None), 'either mask or keep'
        if mask is not None:
            self._check_mask(mask, image)
            keep = visible_indices(mask)
        return self.block_inputs(image, [i % self.depth + 1 for i in indices], keep=keep)

    def block_inputs(
        self,
        image: Tensor,
        places: Sequence[int],
        mask: Tensor | None = None,
        keep: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """What goes into the blocks `places`, units (B, U or V, m, m, C) each, in one pass.

        Place `depth` is behind the last block; no block runs that lies behind the last place.
        mask hides units as in `forward_tokens`, keep drops them as in `forward_visible`.
        """
        if keep is not None:
            self._check_keep(keep, image)
            rows, columns = self._cells(image)
            hidden = image.new_ones(len(image), rows * columns).scatter(1, keep, 0.0).bool()
            mask = hidden.view(-1, rows, columns)
        elif mask is not None:
            self._check_mask_token()
            self._check_mask(mask, image)
        units, _ = self._embed(image, mask, keep)
        return self._encode(units, places)

    def attention_logits(
        self, block: nn.Module, x: Tensor, grid: Grid, keep: Tensor | None = None
    ) -> Tensor:
        """Logits of a block's attention before the softmax, (B', heads, N, K) float32.

        Made beside the block, which goes on with its fused kernel; see `MaskUnitAttention.logits`.

        Args:
            block: one of `blocks`, or what else has their norm1 and attn.
            x: what goes into it, see `block_inputs`; units tell all, grid and keep nothing more.
        """
        return block.attn.logits(block.norm1(x))

    def related(self, block: nn.Module, place: int) -> str:
        """In words, which tokens `attention_logits` of a block at `place` relate."""
        side = UNIT >> sum(before.pooled for before in self.blocks[:place])
        asking = side // 2 if block.attn.pooled else side
        scope = 'within each' if block.attn.within_units else 'of all of them'
        return f'{asking}x{asking} queries and {side}x{side} keys a mask unit, {scope}'

    def forward_pooled(self, image: Tensor, pool: str = 'mean') -> Tensor:
        """One vector (B, D) per image for a classifier: the mean token, after `fc_norm`."""
        return self.fc_norm(self.probe_features(image, (-1,), pool)[0])

    def intermediates(
        self, image: Tensor, indices: Sequence[int], norm_last: bool = False
    ) -> tuple[Tensor, ...]:
        """Outputs of the blocks `indices` as maps, in one pass; there is no norm to apply."""
        units, grid = self._embed(image)
        places = [i % self.depth + 1 for i in indices]
        return tuple(self._map(x, grid, image) for x in self._encode(units, places))

    def probe_features(
        self, image: Tensor, indices: Sequence[int], pool: str = 'mean'
    ) -> tuple[Tensor, ...]:
        """Mean tokens of the blocks `indices`, (B, C) each.

        Raises:
            ValueError: another pool than 'mean'; there is no CLS token.
        """
        if pool != 'mean':
            raise ValueError(f"MIMHiera: pool={pool!r}; it has no CLS token, use pool='mean'")
        return tuple(x.mean(dim=(2, 3)) for x in self.intermediates(image, indices))

    # ------------------------------------------------------------------ pieces

    def _embed(
        self, image: Tensor, mask: Tensor | None = None, keep: Tensor | None = None
    ) -> tuple[Tensor, Grid]:
        """Tokens in units (B, U or V, 8, 8, C), and the grid of all units."""
        height, width = image.shape[-2:]
        image = F.pad(image, (0, -width % self.mask_size, 0, -height % self.mask_size))
        if mask is not None:
            hidden = F.interpolate(mask[:, None].to(image.dtype), image.shape[-2:], mode='nearest')
            image = image * (1 - hidden)
        maps = self.patch_embed(image)
        grid = (maps.shape[-2], maps.shape[-1])
        units = to_units(maps, UNIT)
        if mask is not None and keep is None:
            token = self.mask_token.to(units.dtype)
            units = torch.where(mask.flatten(1)[..., None, None, None], token, units)
        positions = resize_pos_embed(self.pos_embed, self.grid, grid, 0, self.pos_resize)
        units = units + to_units(to_map(positions, grid, 0), UNIT)
        units = units if keep is None else take(units, keep)
        return units, (grid[0] // UNIT, grid[1] // UNIT)

    def _encode(self, units: Tensor, places: Sequence[int]) -> tuple[Tensor, ...]:
        """Units (B, U, m, m, C) before the blocks `places`; place `depth` is behind the last."""
        found = {0: units}
        for i, block in enumerate(self.blocks[: max(places)]):
            units = self._run(block, units)
            if i + 1 in places:
                found[i + 1] = units
        return tuple(found[place] for place in places)

    def _map(self, units: Tensor, grid: Grid, image: Tensor) -> Tensor:
        """Units of `grid` as a map, without what covers only padding."""
        stride = self.mask_size // units.shape[2]
        height, width = (-(-side // stride) for side in image.shape[-2:])
        return from_units(units, grid)[..., :height, :width].contiguous()

    def _draw_weights(self) -> None:
        """Truncated normal, std 0.02; residual outputs shrink with depth, as published."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        for table in (self.pos_embed, self.mask_token):
            if table is not None:
                trunc_normal_(table, std=0.02)
        for number, block in enumerate(self.blocks, 1):
            shrink_outputs(block, number)

    # ------------------------------------------------------------------ training, loading

    def _frozen_parts(self) -> Iterator[nn.Module | Tensor | None]:
        yield from (self.pos_embed, self.mask_token, self.patch_embed)
        yield from self.blocks[: sum(self.depths[: self.frozen_stages])]

    def fit_state(
        self,
        state: dict[str, Tensor],
        source_grid: Grid | None = None,
        how: Resize | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Resize the position table of a state dict to this backbone; {key: 'from -> to'}.

        Args:
            source_grid: token grid (H, W) of the table in `state`; None: square.
            how: it goes to another grid; None: as this backbone's own does.

        Raises:
            ValueError: a table that fits no grid.
        """
        table = state.get('pos_embed')
        if table is None:
            return state, {}
        fitted = fit_positions(table, self.grid, 0, source_grid, how or self.pos_resize)
        if fitted.shape == table.shape:
            return {**state, 'pos_embed': fitted}, {}
        change = f'{tuple(table.shape)} -> {tuple(fitted.shape)}'
        return {**state, 'pos_embed': fitted}, {'pos_embed': change}

    def get_layer_depth(self, name: str, prefix: str = '') -> tuple[int, int]:
        """Embedding 0, block i (over all stages) i + 1, everything else the last depth."""
        count = self.depth + 2
        parts = name.removeprefix(prefix).split('.')
        if not name.startswith(prefix):
            return count - 1, count
        if parts[0] in ('patch_embed', 'pos_embed', 'mask_token'):
            return 0, count
        return (int(parts[1]) + 1 if parts[0] == 'blocks' else count - 1), count
