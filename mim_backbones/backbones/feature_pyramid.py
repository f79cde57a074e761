"""One-scale ViT maps -> the feature pyramid that detection and segmentation heads expect.

    SimpleFeaturePyramid   last map -> every stride            ViTDet, arXiv 2203.16527, section 3
    BlockPyramid           one map per block -> one stride     BEiT, arXiv 2106.08254, on ADE20K

Both are necks of mmdet and mmseg: tuple of maps in, tuple of maps out, finest first. Coarser levels
round up: the last row of an odd map is pooled alone and not dropped (even ones as published).
"""

from collections.abc import Sequence
from functools import partial

import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from timm.layers import LayerNorm2d
from torch import Tensor

from mim_backbones.backbones.base import check_option
from mim_backbones.registry import MODELS

# The pyramid's norm, for the heads on it: `norm_cfg=dict(type='mim_backbones.LayerNorm2d')`.
MODELS.register_module(module=LayerNorm2d)
NORMS = {'batch': nn.BatchNorm2d, 'group': partial(nn.GroupNorm, 32)}


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """The last backbone map, resampled to each stride, then 1x1 and 3x3 convolutions.

    Finer strides: 2x2 deconvolutions that halve the channels, LayerNorm and GELU between two of
    them; the patch's own stride: nothing; coarser strides: max pooling. Every convolution is
    followed by a LayerNorm over channels.

    Args:
        in_channels: channels of the backbone's map.
        out_channels: channels of every level.
        patch_size: stride of the backbone's map in pixels.
        strides: strides of the levels in pixels, each a power of two times or a power-of-two
            part of patch_size.
        extra_levels: coarser levels after the last, each every second pixel of the one before
            (the RPN's stride 64 in ViTDet).
        ceil_mode: pool the last row and column of an odd map alone; False drops them, as published.

    Raises:
        ValueError: a stride that no power of two leads to.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        patch_size: int = 16,
        strides: Sequence[int] = (4, 8, 16, 32),
        extra_levels: int = 0,
        ceil_mode: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.extra_levels = extra_levels
        self.levels = nn.ModuleList()
        for stride in strides:
            layers, channels = resampling(in_channels, octaves_up(patch_size, stride), ceil_mode)
            layers += [
                nn.Conv2d(channels, out_channels, 1, bias=False),
                LayerNorm2d(out_channels),
                nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
                LayerNorm2d(out_channels),
            ]
            self.levels.append(nn.Sequential(*layers))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Backbone maps, of which the last (B, D, H, W) counts -> (B, C, H*p/s, W*p/s) float32.

        Sides are rounded up, or down without ceil_mode.
        """
        # Heads pool regions at their maps' precision, and bf16 places a box a pixel off.
        pyramid = [level(maps[-1]).float() for level in self.levels]
        for _ in range(self.extra_levels):
            pyramid.append(F.max_pool2d(pyramid[-1], 1, stride=2))
        return tuple(pyramid)


@MODELS.register_module()
class BlockPyramid(BaseModule):
    """The i-th backbone map, resampled to the i-th stride.

    Four times finer is deconvolution, BatchNorm, GELU, deconvolution; parameters are called
    fpn1.0.weight, fpn1.1.weight, ... as in BEiT's released segmentation weights. BatchNorm
    becomes synchronised through the Runner's `sync_bn='torch'`.

    Args:
        in_channels: channels of the backbone's maps.
        out_channels: of every level, made by its first deconvolution, or by a 1x1 convolution where
            it has none (MAE-Lite's Semantic FPN); None: they stay.
        patch_size: stride of the backbone's maps in pixels.
        strides: stride of each level in pixels, as many as the backbone returns maps.
        norm: 'batch', or 'group' for GroupNorm of 32 groups (MIMDet's plain-ViT FPN).

    Raises:
        ValueError: a stride that no power of two leads to, or an unknown norm.
    """

    def __init__(
        self,
        in_channels: int,
        patch_size: int = 16,
        strides: Sequence[int] = (4, 8, 16, 32),
        out_channels: int | None = None,
        norm: str = 'batch',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_option('BlockPyramid', 'norm', norm, tuple(NORMS))
        self.num_levels = len(strides)
        channels = out_channels or in_channels
        for number, stride in enumerate(strides, 1):
            octaves = octaves_up(patch_size, stride)
            layers: list[nn.Module] = []
            for i in range(octaves):
                layers += [NORMS[norm](channels), nn.GELU()] if i else []
                layers.append(nn.ConvTranspose2d(channels if i else in_channels, channels, 2, 2))
            if octaves <= 0 and out_channels is not None:
                layers.append(nn.Conv2d(in_channels, channels, 1))
            if octaves < 0:
                layers.append(nn.MaxPool2d(2**-octaves, ceil_mode=True))
            self.add_module(f'fpn{number}', nn.Sequential(*layers))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One map (B, D, H, W) per stride s -> (B, C, H*p/s, W*p/s) each, sides rounded up.

        Raises:
            ValueError: the number of maps is not the number of strides.
        """
        if len(maps) != self.num_levels:
            raise ValueError(
                f'BlockPyramid: {len(maps)} maps for {self.num_levels} strides; '
                "give the backbone as many out_indices as the neck's strides"
            )
        return tuple(getattr(self, f'fpn{i}')(x) for i, x in enumerate(maps, 1))


def octaves_up(patch_size: int, stride: int) -> int:
    """How many times the map of stride `patch_size` is doubled to reach `stride`; < 0: halved.

    Raises:
        ValueError: no power of two leads from one to the other.
    """
    large, small = max(patch_size, stride), min(patch_size, stride)
    ratio = large // small
    if large % small or ratio & (ratio - 1):
        raise ValueError(
            f'feature pyramid: no power of two leads from stride {patch_size} to {stride}'
        )
    octaves = ratio.bit_length() - 1
    return octaves if patch_size > stride else -octaves


def resampling(channels: int, octaves: int, ceil_mode: bool) -> tuple[list[nn.Module], int]:
    """ViTDet's layers that double a map `octaves` times, and the channels they leave."""
    if octaves < 0:
        return [nn.MaxPool2d(2**-octaves, ceil_mode=ceil_mode)], channels
    layers: list[nn.Module] = []
    for i in range(octaves):
        layers += [LayerNorm2d(channels), nn.GELU()] if i else []
        layers.append(nn.ConvTranspose2d(channels, channels // 2, 2, 2))
        channels //= 2
    return layers, channels
