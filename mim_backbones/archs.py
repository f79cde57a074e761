"""Sizes of the backbones: name -> width, depth, heads, with the source of each row."""

from typing import TypedDict


class ViTSize(TypedDict):
    embed_dim: int
    depth: int
    num_heads: int


VIT: dict[str, ViTSize] = {
    'tiny': ViTSize(embed_dim=192, depth=12, num_heads=3),  # DeiT, arXiv 2012.12877, Table 1
    'tiny-h12': ViTSize(embed_dim=192, depth=12, num_heads=12),  # MAE-Lite, arXiv 2205.14443
    'small': ViTSize(embed_dim=384, depth=12, num_heads=6),  # DeiT, Table 1
    'base': ViTSize(embed_dim=768, depth=12, num_heads=12),  # ViT, arXiv 2010.11929, Table 1
    'large': ViTSize(embed_dim=1024, depth=24, num_heads=16),  # ViT, Table 1
    'huge': ViTSize(embed_dim=1280, depth=32, num_heads=16),  # ViT, Table 1
}
