"""Families and sizes of the backbones: name -> width, depth, heads, with each row's source."""

from collections.abc import Mapping
from typing import Any, TypedDict, TypeVar

FAMILIES = {'MIMViT': 'vit', 'MIMSwin': 'swin', 'MIMHiera': 'hiera'}  # of the classes


class ViTSize(TypedDict):
    embed_dim: int
    depth: int
    num_heads: int


VIT: dict[str, ViTSize] = {
    'tiny': ViTSize(embed_dim=192, depth=12, num_heads=3),  # DeiT, arXiv 2012.12877, Table 1
    'tiny-h12': ViTSize(embed_dim=192, depth=12, num_heads=12),  # MAE-Lite, arXiv 2205.14443
    'small': ViTSize(embed_dim=384, depth=12, num_heads=6),  # DeiT, Table 1
    'small-h12': ViTSize(embed_dim=384, depth=12, num_heads=12),  # MoCo v3, MAE-Lite
    'base': ViTSize(embed_dim=768, depth=12, num_heads=12),  # ViT, arXiv 2010.11929, Table 1
    'large': ViTSize(embed_dim=1024, depth=24, num_heads=16),  # ViT, Table 1
    'huge': ViTSize(embed_dim=1280, depth=32, num_heads=16),  # ViT, Table 1
    'so400m': ViTSize(embed_dim=1152, depth=27, num_heads=16),  # SigLIP, arXiv 2303.15343
    'giant': ViTSize(embed_dim=1536, depth=40, num_heads=24),  # DINOv2, arXiv 2304.07193
}


class SwinSize(TypedDict):
    embed_dim: int
    depths: tuple[int, ...]
    num_heads: tuple[int, ...]


# Swin, arXiv 2103.14030, section 3.3; the same widths, depths and heads in V2, arXiv 2111.09883.
SWIN: dict[str, SwinSize] = {
    # MAE-Lite's SimMIM student, wangsr126/MAE-Lite projects/simmim
    'tiny-lite': SwinSize(embed_dim=48, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24)),
    'tiny': SwinSize(embed_dim=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24)),
    'small': SwinSize(embed_dim=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24)),
    'base': SwinSize(embed_dim=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32)),
    'large': SwinSize(embed_dim=192, depths=(2, 2, 18, 2), num_heads=(6, 12, 24, 48)),
    # Width and depths from V2, section 4.1; its heads are not published: 32 channels each, as in
    # all sizes above. mmpretrain guesses (8, 16, 32, 64).
    'huge': SwinSize(embed_dim=352, depths=(2, 2, 18, 2), num_heads=(11, 22, 44, 88)),
}


class HieraSize(TypedDict):
    embed_dim: int
    depths: tuple[int, ...]
    num_heads: int


# Hiera, arXiv 2306.00989, Table 2: width and heads of stage 0, both doubled by every stage.
HIERA: dict[str, HieraSize] = {
    'tiny-lite': HieraSize(embed_dim=46, depths=(1, 2, 7, 2), num_heads=1),  # MAE-Lite
    'tiny': HieraSize(embed_dim=96, depths=(1, 2, 7, 2), num_heads=1),
    'small': HieraSize(embed_dim=96, depths=(1, 2, 11, 2), num_heads=1),
    'base': HieraSize(embed_dim=96, depths=(2, 3, 16, 3), num_heads=1),
    'base-plus': HieraSize(embed_dim=112, depths=(2, 3, 16, 3), num_heads=2),
    'large': HieraSize(embed_dim=144, depths=(2, 6, 36, 4), num_heads=2),
    'huge': HieraSize(embed_dim=256, depths=(2, 6, 36, 4), num_heads=4),
}

Size = TypeVar('Size', bound=Mapping[str, Any])


def vit_size(arch: str | ViTSize) -> ViTSize:
    """The row of `VIT`, or the given sizes.

    Raises:
        ValueError: no such name, or not the three sizes as whole numbers from 1 up.
    """
    if isinstance(arch, str) and arch in VIT:
        return VIT[arch]
    if isinstance(arch, dict) and set(arch) == set(ViTSize.__annotations__):
        return check_sizes('MIMViT', arch)
    raise ValueError(
        f'MIMViT: arch {arch!r}; known: {", ".join(VIT)}, or a dict of '
        f'{", ".join(ViTSize.__annotations__)}'
    )


def swin_size(arch: str | SwinSize) -> SwinSize:
    """The row of `SWIN`, or the given sizes.

    Raises:
        ValueError: no such name, or not the three sizes, or depths and heads of unequal number.
    """
    if isinstance(arch, str) and arch in SWIN:
        return SWIN[arch]
    if isinstance(arch, dict) and set(arch) == set(SwinSize.__annotations__):
        if len(arch['depths']) == len(arch['num_heads']):
            return check_sizes('MIMSwin', arch)
        raise ValueError(f'MIMSwin: {len(arch["depths"])} depths, {len(arch["num_heads"])} heads')
    raise ValueError(
        f'MIMSwin: arch {arch!r}; known: {", ".join(SWIN)}, or a dict of '
        f'{", ".join(SwinSize.__annotations__)}'
    )


def hiera_size(arch: str | HieraSize) -> HieraSize:
    """The row of `HIERA`, or the given sizes.

    Raises:
        ValueError: no such name, or not the three sizes, or not four stages.
    """
    if isinstance(arch, str) and arch in HIERA:
        return HIERA[arch]
    if isinstance(arch, dict) and set(arch) == set(HieraSize.__annotations__):
        if len(arch['depths']) == 4:
            return check_sizes('MIMHiera', arch)
        raise ValueError(f'MIMHiera: depths of {len(arch["depths"])} stages; it has 4')
    raise ValueError(
        f'MIMHiera: arch {arch!r}; known: {", ".join(HIERA)}, or a dict of '
        f'{", ".join(HieraSize.__annotations__)}'
    )


def check_sizes(name: str, arch: Size) -> Size:
    """Itself. Raises ValueError for a size that is no whole number from 1 up."""
    for key, value in arch.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if type(number) is not int or number < 1:
                raise ValueError(f'{name}: {key}={value!r}; sizes are whole numbers from 1 up')
    return arch
