"""Multi-head self-attention through `scaled_dot_product_attention`.

Position enters in three ways, none of which keeps a score tensor of our own at ViTDet's sizes:

- an additive bias (heads, N, N), the relative tables of BEiT, SimMIM and Swin;
- rotary positions, which turn queries and keys beforehand;
- ViTDet's decomposed bias `q.Rh[row] + q.Rw[column]`, folded into the dot product: q gets
  its products with Rh and Rw appended, k gets one-hot rows and columns. Exact, and no N x N
  tensor per head even at 64 x 64 tokens.
"""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.backbones.layers.rope import Rotation

Grid = tuple[int, int]


class Attention(nn.Module):
    """Self-attention over (B, N, D).

    Args:
        dim: width D.
        num_heads: heads; D must be divisible by it.
        qkv_bias: 'joint' (one bias for q, k, v), 'qv' (BEiT: q_bias and v_bias, the key bias is
            zero) or 'none'.
        decomposed_grid: (H, W) of the windows (or of the whole grid) this block attends within;
            makes ViTDet's decomposed relative positions.
        qk_norm: a LayerNorm over the channels of each head's query and key.
        out_norm: a LayerNorm over the joined heads, before the projection (EVA-CLIP).
        norm_eps: of both.
        drop: rate at which a query misses a key while it is trained (data2vec).

    Raises:
        ValueError: num_heads does not divide dim.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        qkv_bias: str = 'joint',
        decomposed_grid: Grid | None = None,
        qk_norm: bool = False,
        out_norm: bool = False,
        norm_eps: float = 1e-6,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'Attention: num_heads {num_heads} does not divide width {dim}')
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias == 'joint')
        if qkv_bias == 'qv':
            self.q_bias = nn.Parameter(torch.zeros(dim))
            self.v_bias = nn.Parameter(torch.zeros(dim))
        self.qkv_bias = qkv_bias
        self.drop = drop
        self.q_norm, self.k_norm = (
            nn.LayerNorm(dim // num_heads, eps=norm_eps) if qk_norm else nn.Identity()
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(dim, eps=norm_eps) if out_norm else nn.Identity()
        self.proj = nn.Linear(dim, dim)
        self.decomposed_grid = decomposed_grid
        if decomposed_grid is not None:
            head_dim = dim // num_heads
            self.rel_pos_h = nn.Parameter(torch.zeros(2 * decomposed_grid[0] - 1, head_dim))
            self.rel_pos_w = nn.Parameter(torch.zeros(2 * decomposed_grid[1] - 1, head_dim))

    def forward(
        self,
        x: Tensor,
        bias: Tensor | None = None,
        grid: Grid | None = None,
        rope: Rotation | None = None,
    ) -> Tensor:
        """x (B, N, D), bias (heads, N, N) or (B, heads, N, N) -> (B, N, D).

        grid: (H, W) of the N tokens, needed with decomposed relative positions.
        rope: what turns queries and keys; tokens before those it is made for stay.
        """
        batch, length, dim = x.shape
        q, k, v = self._heads(self._qkv(x), rope)
        if self.decomposed_grid is not None:
            assert grid is not None and bias is None
            out = decomposed_attention(q, k, v, self.rel_pos_h, self.rel_pos_w, grid)
        else:
            mask = None if bias is None else bias.to(q.dtype).expand(batch, -1, -1, -1)
            out = attend(q, k, v, mask, drop=self.drop if self.training else 0.0)
        return self.proj(self.norm(out.transpose(1, 2).reshape(batch, length, dim)))

    def logits(self, x: Tensor, bias: Tensor | None = None, rope: Rotation | None = None) -> Tensor:
        """What the softmax of `forward` is of: (B, heads, N, N), in float32 under any autocast.

        x, bias, rope: see `forward`. Values are not made.
        """
        q, k = self._heads(self._qkv(x, parts=2), rope)
        with torch.autocast(x.device.type, enabled=False):
            scores = (q.float() * self.scale) @ k.float().transpose(-2, -1)
            return scores if bias is None else scores + bias.float()

    @torch.no_grad()
    def weights(
        self,
        x: Tensor,
        queries: Tensor,
        bias: Tensor | None = None,
        rope: Rotation | None = None,
    ) -> Tensor:
        """What some queries give to every key, after the softmax: (B, heads, R, N), float32.

        x, bias, rope: see `forward`. queries: (R,) int64, any device, their places in x.
        """
        q, k = self._heads(self._qkv(x, parts=2), rope)
        with torch.autocast(x.device.type, enabled=False):
            scores = (q[:, :, queries].float() * self.scale) @ k.float().transpose(-2, -1)
            if bias is not None:
                scores = scores + bias[..., queries, :].float()
            return scores.softmax(-1)

    def relations(self, x: Tensor, pairs: Sequence[str], heads: int | None = None) -> list[Tensor]:
        """Logits of all pairs of tokens, (B, heads, N, N) each, in float32 under any autocast.

        Args:
            x: as of `forward`; positions are those in it, and no head's own norm enters.
            pairs: which of queries, keys and values are multiplied: 'qk' is `logits`, 'vv' values
                with values.
            heads: how many the channels are cut into, each scaled by its own width; default: as
                the attention cuts them.
        """
        cut = self._qkv(x).unflatten(2, (3, heads or self.num_heads, -1))
        with torch.autocast(x.device.type, enabled=False):
            q, k, v = cut.float().permute(2, 0, 3, 1, 4)  # (B, heads, N, d) each
            parts, scale = {'q': q, 'k': k, 'v': v}, q.shape[-1] ** -0.5
            return [(parts[pair[0]] * scale) @ parts[pair[1]].transpose(-2, -1) for pair in pairs]

    def _heads(self, qkv: Tensor, rope: Rotation | None) -> list[Tensor]:
        """Queries, keys and what follows, (B, heads, N, d) each; the first two normed, turned."""
        # Taken apart before heads and tokens change places: the gradients then join as one matrix
        # without another copy.
        head_dim = self.qkv.in_features // self.num_heads
        parts = qkv.unflatten(2, (-1, self.num_heads, head_dim)).unbind(2)
        q, k, *rest = (part.transpose(1, 2) for part in parts)
        q, k = self.q_norm(q), self.k_norm(k)
        return [q, k, *rest] if rope is None else [rope(q), rope(k), *rest]

    def _qkv(self, x: Tensor, parts: int = 3) -> Tensor:
        """The first `parts` of queries, keys and values, one beside the other."""
        if self.qkv_bias != 'qv' and parts == 3:
            return self.qkv(x)
        bias: Tensor | None = self.qkv.bias
        if self.qkv_bias == 'qv':
            bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        end = parts * self.qkv.in_features
        return F.linear(x, self.qkv.weight[:end], None if bias is None else bias[:end])


# Up to this many tokens a bf16 score tensor costs a CPU less than its fused kernel does.
SHORT = 512


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    scale: float | None = None,
    drop: float = 0.0,
) -> Tensor:
    """softmax(q k^T * scale + mask) v; q, k, v (B, heads, N, d), mask additive or None.

    scale: 1 / sqrt(d) if not given. drop: rate of what the softmax gives.

    On a CPU torch's fused kernel is two to ten times slower in bf16 than the plain products for a
    few hundred tokens, and it gives a mask no gradient: with a learned bias torch takes plain
    products too, with passes against NaN that no mask of ours needs. Everywhere else the fused
    kernel is used.
    """
    if q.device.type == 'cpu' and (
        (q.dtype == torch.bfloat16 and q.shape[2] <= SHORT)
        or (mask is not None and mask.requires_grad)
    ):
        scores = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.transpose(-2, -1)
        if mask is not None:
            scores += mask
        return F.dropout(scores.softmax(-1), drop).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=drop, scale=scale)


def decomposed_attention(
    q: Tensor, k: Tensor, v: Tensor, rel_pos_h: Tensor, rel_pos_w: Tensor, grid: Grid
) -> Tensor:
    """Attention with the decomposed bias (ViTDet, MViTv2), (B, heads, N, d) each.

    rel_pos_h (2H'-1, d), rel_pos_w (2W'-1, d); resized linearly when the grid is not (H', W').
    The bias uses the unscaled q, as published.
    """
    height, width = grid
    table_h = axis_table(rel_pos_h, height).to(q.dtype)  # (H, H, d): query row, key row
    table_w = axis_table(rel_pos_w, width).to(q.dtype)
    q_grid = q.unflatten(2, (height, width))
    bias_h = torch.einsum('bnhwd,hkd->bnhwk', q_grid, table_h).flatten(2, 3)
    bias_w = torch.einsum('bnhwd,wkd->bnhwk', q_grid, table_w).flatten(2, 3)
    rows = torch.eye(height, dtype=k.dtype, device=k.device).repeat_interleave(width, 0)
    columns = torch.eye(width, dtype=k.dtype, device=k.device).repeat(height, 1)
    one_hot = torch.cat([rows, columns], dim=1).expand(*k.shape[:2], -1, -1)
    head_dim = q.shape[-1]
    query = torch.cat([q * head_dim**-0.5, bias_h, bias_w], dim=-1)
    key = torch.cat([k, one_hot], dim=-1)
    # The fused kernels want one width for q, k and v: the value is padded and cut again.
    value = F.pad(v, (0, height + width))
    out = F.scaled_dot_product_attention(query, key, value, scale=1.0)
    return out[..., :head_dim]


def axis_table(rel_pos: Tensor, size: int) -> Tensor:
    """(2S-1, d) relative embeddings of one axis -> (size, size, d), [query, key]."""
    if len(rel_pos) != 2 * size - 1:
        rel_pos = F.interpolate(rel_pos.T[None], size=2 * size - 1, mode='linear')[0].T
    position = torch.arange(size, device=rel_pos.device)
    return rel_pos[position[:, None] - position[None] + size - 1]
