"""MIMSwin: Swin V1 and V2 for pre-training and for every downstream task.

    image -> patch_embed, norm -> (hidden tokens -> mask_token) -> + absolute positions
          -> 4 stages of blocks, 2 x 2 merging between them -> norm

V1: arXiv 2103.14030. V2: 2111.09883. Masked pre-training: SimMIM, 2111.09886.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn as nn
from timm.layers import trunc_normal_
from torch import Tensor

from mim_backbones.backbones.archs import SwinSize, swin_size
from mim_backbones.backbones.base import MIMBackbone, check_option, grid_of
from mim_backbones.backbones.layers.block import rising_rates
from mim_backbones.backbones.layers.patches import PatchMerging, SwinPatchEmbed
from mim_backbones.backbones.layers.pos_embed import Resize, resize_pos_embed
from mim_backbones.backbones.layers.swin_block import SwinBlock, SwinStage
from mim_backbones.backbones.layers.windows import Grid, WindowPlan, plan_windows
from mim_backbones.backbones.position_tables import fit_swin_tables
from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS

CONTINUOUS_BIAS = ('logit_scale', 'cpb_mlp')  # V2's parts that fine-tuning never decays


@MODELS.register_module()
class MIMSwin(MIMBackbone):
    """Swin transformer.

    Args:
        arch: a name of `archs.SWIN` or a dict with embed_dim, depths, num_heads.
        version: 1 (pre-norm, relative tables) or 2 (post-norm, cosine attention, continuous bias).
        img_size: side (or (H, W)) the position tables are made for; others work at run time.
        window_size: side of the attention windows in tokens.
        out_indices: stages whose output, before merging, `forward` returns.
        small_maps: 'shrink' (published classifiers and SimMIM: a map no larger than the window is
            one window, of its own shorter side, without shift) or 'pad' (published dense code,
            mmdet and mmseg: a window keeps its size on any map, odd blocks always shift).
            Default: 'pad' when several stages are returned, else 'shrink'.
        output_norm: 'final' (`norm` after the last stage), 'each' (`norm0`, `norm1`, ... after
            every returned stage) or 'none'. Default: 'each' when several stages are returned.
        pretrained_window_sizes: V2 only, the window of each stage in pre-training, which
            normalises the offsets of the continuous bias; 0 stands for the window that is run,
            which an image's size decides. Default: those of `img_size`.
        absolute_pos_embed: whether a learned position is added to each patch.
        pos_resize: how it goes to other grids, arguments of `layers.pos_embed.Resize`; bicubic
            without antialias by default.
        mask_token: whether the vector that replaces hidden tokens exists (pre-training).
        drop_path_rate: rate of the last block; rises linearly from 0.
        frozen_stages: -1 nothing; 0 the embedding; n the embedding and the first n stages.
        with_cp: recompute blocks in the backward pass to save memory.

    Raises:
        ValueError: an option has no such value, or img_size is not a multiple of patch_size.
    """

    def __init__(
        self,
        arch: str | SwinSize = 'tiny',
        version: int = 1,
        img_size: int | Grid = 224,
        patch_size: int = 4,
        in_channels: int = 3,
        window_size: int = 7,
        out_indices: Sequence[int] = (-1,),
        small_maps: str | None = None,
        output_norm: str | None = None,
        pretrained_window_sizes: Sequence[int] | None = None,
        absolute_pos_embed: bool = False,
        pos_resize: dict | None = None,
        patch_norm: bool = True,
        qkv_bias: bool = True,
        mask_token: bool = False,
        mlp_ratio: float = 4.0,
        norm_eps: float = 1e-5,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        several = len(out_indices) > 1
        size = swin_size(arch)
        self.small_maps = small_maps or ('pad' if several else 'shrink')
        self.output_norm = output_norm or ('each' if several else 'final')
        check_option('MIMSwin', 'small_maps', self.small_maps, ('shrink', 'pad'))
        check_option('MIMSwin', 'output_norm', self.output_norm, ('final', 'each', 'none'))
        if version not in (1, 2):
            raise ValueError(f'MIMSwin: version={version!r}; known: 1, 2')
        if pretrained_window_sizes and version == 1:
            raise ValueError('MIMSwin: pretrained_window_sizes is for version=2; V1 has tables')
        self.embed_dim = size['embed_dim']
        self.depths = tuple(size['depths'])
        self.num_heads = tuple(size['num_heads'])
        self.depth = sum(self.depths)
        self.patch_size = self.mask_size = patch_size
        self.window_size = window_size
        self.stride = patch_size * 2 ** (len(self.depths) - 1)
        self.grid: Grid = grid_of('MIMSwin', img_size, patch_size)
        self.pos_resize = Resize(**pos_resize or {})
        self.out_indices = tuple(i % len(self.depths) for i in out_indices)
        widths = [self.embed_dim * 2**s for s in range(len(self.depths))]
        self.num_features = tuple(widths[s] for s in self.out_indices)
        self.frozen_stages = frozen_stages
        self.with_cp = with_cp

        self.patch_embed = SwinPatchEmbed(
            patch_size, in_channels, self.embed_dim, patch_norm, norm_eps
        )
        self.mask_token = self.absolute_pos_embed = None
        if mask_token:
            self.mask_token = nn.Parameter(torch.zeros(1, 1, self.embed_dim))
        if absolute_pos_embed:
            cells = self.grid[0] * self.grid[1]
            self.absolute_pos_embed = nn.Parameter(torch.zeros(1, cells, self.embed_dim))
        drop_path = iter(rising_rates(drop_path_rate, self.depth))
        self.layers = nn.ModuleList()
        for stage, plan in enumerate(self._plans(self.grid)):
            pretrained = pretrained_window_sizes[stage] if pretrained_window_sizes else plan.size
            blocks = [
                SwinBlock(
                    widths[stage],
                    self.num_heads[stage],
                    pretrained,
                    shifted=i % 2 == 1,
                    version=version,
                    mlp_ratio=mlp_ratio,
                    qkv_bias=qkv_bias,
                    drop_path=next(drop_path),
                    norm_eps=norm_eps,
                )
                for i in range(self.depths[stage])
            ]
            last = stage == len(self.depths) - 1
            merging = None if last else PatchMerging(widths[stage], version == 1, norm_eps)
            self.layers.append(SwinStage(blocks, merging))
        if self.output_norm == 'final':
            self.norm = nn.LayerNorm(widths[-1], eps=norm_eps)
        elif self.output_norm == 'each':
            for stage in self.out_indices:
                self.add_module(f'norm{stage}', nn.LayerNorm(widths[stage], eps=norm_eps))
        self._draw_weights(version)
        self._freeze()

    @property
    def blocks(self) -> list[SwinBlock]:
        """Those of all stages, in the order they run."""
        return [block for stage in self.layers for block in stage.blocks]

    @property
    def bias_windows(self) -> tuple[int, ...]:
        """Windows by stage that V1's tables are made for, or that scale V2's bias (0: as run)."""
        return tuple(stage.blocks[0].attn.window_size for stage in self.layers)

    # ------------------------------------------------------------------ image -> features

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """image (B, C, H, W) -> one map (B, C_s, ceil(H/s), ceil(W/s)) per out_index, normed.

        Any size: the image is padded by zeros at right and bottom to whole patches, a map to
        whole windows and to an even size before merging, as in the published dense code.
        """
        maps = self._encode(self._embed(image, None), [self._end(s) for s in self.out_indices])
        return tuple(to_map(self._normed(maps[self._end(s)], s)) for s in self.out_indices)

    def forward_tokens(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Last map (B, C, ceil(H/32), ceil(W/32)), after its norm.

        mask: (B, H/p, W/p) bool on the stride-4 patch grid, True = hidden: those tokens are
        replaced after the norm of the patch embedding and before the positions (SimMIM).
        Windows and merging then divide every map.

        Raises:
            UserError: the mask is not the image's, or the image does not fit the windows, or there
                is no mask token.
        """
        last = self.depth - 1
        x = self._encode(self._embed(image, mask), [last])[last]
        return self.normed_map(x)

    def forward_pooled(self, image: Tensor, pool: str = 'mean') -> Tensor:
        """One vector (B, C) per image for a classifier: the mean of the normed last map.

        Raises:
            ValueError: another pool than 'mean'; a Swin has no CLS token.
        """
        check_option('MIMSwin', 'pool', pool, ('mean',))
        return self.forward_tokens(image).flatten(2).mean(2)

    def intermediates(
        self, image: Tensor, indices: Sequence[int], norm_last: bool = False
    ) -> tuple[Tensor, ...]:
        """Outputs of the blocks `indices` (counted over all stages) as maps, in one pass.

        norm_last: apply the last stage's norm to the last block's output.
        """
        wanted = [i % self.depth for i in indices]
        maps = self._encode(self._embed(image, None), wanted)
        last = self.depth - 1
        if norm_last and last in maps:
            maps[last] = self._normed(maps[last], len(self.depths) - 1)
        return tuple(to_map(maps[i]) for i in wanted)

    def block_inputs(
        self,
        image: Tensor,
        places: Sequence[int],
        mask: Tensor | None = None,
        keep: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """What goes into the blocks `places`, maps (B, H, W, C) each, in one pass.

        The first block of a stage takes the merged map; place `depth` is behind the last block. No
        block runs that lies behind the last place. mask hides tokens as in `forward_tokens`.

        Raises:
            UserError: see `forward_tokens`; or keep, as no token of a window can be left out.
        """
        if keep is not None:
            raise UserError('MIMSwin: no token of a window can be left out; give a mask')
        embedded = self._embed(image, mask)
        maps = {-1: embedded, **self._encode(embedded, [place - 1 for place in places])}
        return tuple(self._merged(maps[place - 1], place) for place in places)

    def normed_map(self, x: Tensor) -> Tensor:
        """Output (B, H, W, C) of the last block as a map (B, C, H, W), after its norm."""
        return to_map(self._normed(x, len(self.depths) - 1))

    def attention_logits(
        self, block: nn.Module, x: Tensor, grid: Grid, keep: Tensor | None = None
    ) -> Tensor:
        """Logits of a block's attention before the softmax, (B * windows, heads, N, N) float32.

        Made beside the block, which goes on with its fused kernel; see `SwinBlock.logits`.

        Args:
            block: one of `blocks`, or what else has their norm1 and attn.
            x: the map that goes into it, see `block_inputs`; grid and keep tell nothing more.
        """
        return block.logits(x, plan_windows(x.shape[1:3], self.window_size, self.small_maps))

    def related(self, block: nn.Module, place: int) -> str:
        """In words, which tokens `attention_logits` of a block at `place` relate."""
        stage = sum(place > self._end(stage) for stage in range(len(self.depths) - 1))
        rows, columns = self._grids(self.grid)[stage]
        size, shift = plan_windows((rows, columns), self.window_size, self.small_maps)
        shift = shift if block.shifted else 0
        return f'windows of {size}x{size} in a map of {rows}x{columns}, shifted by {shift}'

    # ------------------------------------------------------------------ pieces

    def _merged(self, x: Tensor, place: int) -> Tensor:
        """The output of the block before `place` as what goes in there."""
        ends = [self._end(stage) + 1 for stage in range(len(self.depths) - 1)]
        return self.layers[ends.index(place)].downsample(x) if place in ends else x

    def _embed(self, image: Tensor, mask: Tensor | None) -> Tensor:
        x = self.patch_embed(image)
        if mask is not None:
            self._check_mask_token()
            self._check_mask(mask, image)
            self._check_windows((x.shape[1], x.shape[2]))
            x = torch.where(mask[..., None], self.mask_token.to(x.dtype), x)
        if self.absolute_pos_embed is not None:
            grid = (x.shape[1], x.shape[2])
            positions = resize_pos_embed(
                self.absolute_pos_embed, self.grid, grid, 0, self.pos_resize
            )
            x = x + positions.unflatten(1, grid).to(x.dtype)
        return x

    def _encode(self, x: Tensor, wanted: Sequence[int]) -> dict[int, Tensor]:
        """Run up to the last wanted block; (B, H, W, C) by block index."""
        plans = self._plans((x.shape[1], x.shape[2]))
        maps: dict[int, Tensor] = {}
        first, last = 0, max(wanted)
        for stage, plan in zip(self.layers, plans, strict=True):
            mask = stage.shift_mask((x.shape[1], x.shape[2]), plan, x)
            for index, block in enumerate(stage.blocks[: last + 1 - first], first):
                x = self._run(block, x, plan, mask)
                if index in wanted:
                    maps[index] = x
            first += len(stage.blocks)
            if first > last:
                break
            x = stage.downsample(x)
        return maps

    def _plans(self, grid: Grid) -> list[WindowPlan]:
        """Windows of every stage for a patch grid."""
        return [plan_windows(m, self.window_size, self.small_maps) for m in self._grids(grid)]

    def _grids(self, grid: Grid) -> list[Grid]:
        """Tokens of every stage's map for a patch grid: merging rounds up."""
        return [
            (-(-grid[0] // 2**stage), -(-grid[1] // 2**stage)) for stage in range(len(self.depths))
        ]

    def _check_windows(self, grid: Grid) -> None:
        """Raises UserError when pre-training would see padded maps, which no released one did."""
        if self.small_maps == 'pad':
            return
        for stage, (rows, columns) in enumerate(self._grids(grid)):
            size = plan_windows((rows, columns), self.window_size, self.small_maps).size
            odd = stage + 1 < len(self.depths) and (rows % 2 or columns % 2)
            if odd or rows % size or columns % size:
                what = 'is odd' if odd else f'does not divide into windows of {size}'
                raise UserError(
                    f'MIMSwin: the {rows}x{columns} map of stage {stage} {what}; masked images '
                    f"take an img_size and window_size that fit each other, or small_maps='pad'"
                )

    def _end(self, stage: int) -> int:
        """Index of the stage's last block."""
        return sum(self.depths[: stage + 1]) - 1

    def _norm(self, stage: int) -> nn.Module | None:
        if self.output_norm == 'each':
            return getattr(self, f'norm{stage}', None)
        return getattr(self, 'norm', None) if stage == len(self.depths) - 1 else None

    def _normed(self, x: Tensor, stage: int) -> Tensor:
        norm = self._norm(stage)
        return x if norm is None else norm(x)

    def _draw_weights(self, version: int) -> None:
        """Truncated normal, std 0.02. V2 starts its block norms at zero, so blocks start silent."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for name, parameter in self.named_parameters():
            if name.endswith(('mask_token', 'absolute_pos_embed', 'bias_table')):
                trunc_normal_(parameter, std=0.02)
            elif version == 2 and 'blocks' in name and ('norm1' in name or 'norm2' in name):
                nn.init.zeros_(parameter)

    # ------------------------------------------------------------------ training, loading

    def _frozen_parts(self) -> Iterator[nn.Module | Tensor | None]:
        yield from (self.mask_token, self.absolute_pos_embed, self.patch_embed)
        yield from self.layers[: self.frozen_stages]
        yield from (self._norm(stage) for stage in range(self.frozen_stages))

    def get_layer_depth(self, name: str, prefix: str = '') -> tuple[int, int]:
        """Embedding 0, block i (over all stages) i + 1, a merging as the block before it, norms
        the last depth (SimMIM's fine-tuning).

        Absolute positions belong to the embedding. The released code gives them the full rate, an
        oversight: `LayerDecayConstructor` with full_rate=['absolute_pos_embed'] does so too.
        """
        count = self.depth + 2
        parts = name.removeprefix(prefix).split('.')
        if not name.startswith(prefix):
            return count - 1, count
        if parts[0] in ('patch_embed', 'mask_token', 'absolute_pos_embed'):
            return 0, count
        if parts[0] == 'layers':
            before = sum(self.depths[: int(parts[1])])
            in_stage = int(parts[3]) + 1 if parts[2] == 'blocks' else self.depths[int(parts[1])]
            return before + in_stage, count
        return count - 1, count

    def no_weight_decay(self) -> set[str]:
        """Names exempt from weight decay beside biases and 1-D tensors."""
        parts = ((name, name.split('.')) for name, _ in self.named_parameters())
        continuous = {name for name, p in parts if not set(CONTINUOUS_BIAS).isdisjoint(p)}
        return super().no_weight_decay() | continuous

    def fresh_parameters(self) -> set[str]:
        """As in every family, and the norms of the returned stages, which pre-training lacks."""
        norms = {f'norm{stage}.{part}' for stage in self.out_indices for part in ('weight', 'bias')}
        return super().fresh_parameters() | (norms if self.output_norm == 'each' else set())

    def fit_state(
        self,
        state: dict[str, Tensor],
        source_grid: Grid | None = None,
        how: Resize | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Resize the position tables of a state dict to this backbone; {key: 'from -> to'}.

        Args:
            source_grid: patch grid (H, W) of its absolute positions; None: square.
            how: they go to another grid; None: as this backbone's own do.

        Raises:
            ValueError: a shape differs and is no position table's.
        """
        how = how or self.pos_resize
        return fit_swin_tables(state, self.state_dict(), self.grid, source_grid, how)


def to_map(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C, H, W)."""
    return x.permute(0, 3, 1, 2).contiguous()
