"""Parameters and multiply-adds of a recipe's model on one test picture, without memory for it.

    backbone and neck    on the picture as it reaches the model in a test
    dense heads          on the neck's maps
    heads of regions     on as many regions as the test keeps: proposals for boxes (in each stage),
                         detections for masks
    trackers             on the template and one search crop

A multiplication with its addition is one operation. What works on regions only to choose them
(suppression, pooling) is not counted, nor what only training has.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, DefaultScope
from torch._subclasses.fake_tensor import FakeTensorMode

from downstream.evaluation.backbone_config import fit_backbone, fit_neck
from downstream.segmentation.task import fit_widths
from mim_backbones.bench.flops import count_flops
from mim_backbones.training.config import open_config
from mim_backbones.training.launch import build_errors_in_one_line

RATIO = 1.6  # longer to shorter side of a picture that a recipe does not make square
# Images of an epoch: ImageNet-1K, COCO train2017 with annotations, ADE20K's training split.
EPOCH = {'classification': 1281167, 'detection': 117266, 'segmentation': 20210}


@dataclass(frozen=True)
class Count:
    """Of one recipe.

    parameters: of the whole model.
    macs: multiply-adds, see the module.
    input: height and width in pixels.
    images: seen in training; 0 where the recipe does not say.
    """

    parameters: int
    macs: int
    input: tuple[int, int]
    images: int


def count(path: Path, task: str, arch: str = '') -> Count:
    """Counts a recipe.

    Args:
        arch: the size of its backbone, a name of `archs`; default: as it stands.

    Raises:
        UserError: the recipe cannot be read, or its model not be built.
    """
    # Building logs on stdout in some versions of mmengine, which is for what was asked for.
    MMLogger.get_current_instance().setLevel('ERROR')
    cfg = open_config(path)
    if arch and arch != cfg.model.backbone.get('arch'):
        resize(cfg, arch)
    height, width = test_size(cfg)
    scope = DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine')
    # A tracker that drops tokens asks for the softmax outside of autocast, which 'meta' has not.
    nowhere = FakeTensorMode() if 'template_size' in cfg.model else torch.device('meta')
    with scope, build_errors_in_one_line(str(path)), nowhere:
        model = MODELS.build(cfg.model).eval()
        image = torch.zeros(1, 3, height, width)
        with torch.no_grad():
            work = count_flops(lambda: forward(model, cfg, image))
    parameters = sum(p.numel() for p in model.parameters())
    return Count(parameters, work.flops // 2, (height, width), images_of(cfg, task))


def resize(cfg: Config, arch: str) -> None:
    """Another size of backbone into a recipe, in place, as `mimbench eval` fits a checkpoint's."""
    backbone = {key: v for key, v in cfg.model.backbone.items() if key != 'init_cfg'}
    job: Any = SimpleNamespace(backbone={**backbone, 'arch': arch}, checkpoint=None)
    maps = fit_backbone(cfg, job)
    if 'decode_head' in cfg.model:
        fit_widths(cfg, maps)
    elif 'neck' in cfg.model:
        fit_neck(cfg.model.neck, maps)


def test_size(cfg: Config) -> tuple[int, int]:
    """Height and width in pixels of what the model sees: of a window, or of a padded picture."""
    test = cfg.model.get('test_cfg') or {}
    if test.get('crop_size'):
        return tuple(test.crop_size)
    own = cfg.model.backbone.get('img_size', 224)
    steps = [step for step in _steps(cfg.get('test_dataloader', {})) if 'scale' in step]
    if not steps:
        return (own, own) if isinstance(own, int) else tuple(own)
    scale = steps[-1]['scale']
    longer, shorter = max(scale), min(scale)
    sides = (shorter, min(longer, int(RATIO * shorter)))
    divisor = (cfg.model.get('data_preprocessor') or {}).get('pad_size_divisor', 1)
    height, width = (-(-side // divisor) * divisor for side in sides)
    return height, width


def forward(model: nn.Module, cfg: Config, image: torch.Tensor) -> None:
    """What runs on one test picture, as far as it can be counted."""
    if hasattr(model, 'template_size'):
        side = model.template_size
        model({'template': image.new_zeros(1, 3, side, side), 'search': image})
        return
    maps = model.extract_feat(image) if hasattr(model, 'extract_feat') else model.backbone(image)
    for name in ('rpn_head', 'bbox_head', 'decode_head'):
        if isinstance(getattr(model, name, None), nn.Module):
            getattr(model, name).forward(maps)
    roi_head = getattr(model, 'roi_head', None)
    if roi_head is None:
        return
    for part, kept in (('bbox', cfg.model.test_cfg.rpn), ('mask', cfg.model.test_cfg.rcnn)):
        extractors = _each(getattr(roi_head, f'{part}_roi_extractor', None))
        heads = _each(getattr(roi_head, f'{part}_head', None))
        for extractor, head in zip(extractors, heads):
            size = extractor.roi_layers[0].output_size
            head(torch.zeros(kept.max_per_img, extractor.out_channels, *size))


def images_of(cfg: Config, task: str) -> int:
    train = cfg.get('train_cfg') or {}
    if train.get('max_epochs'):
        return train.max_epochs * EPOCH.get(task, 0)
    batch = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
    batch = batch or cfg.get('train_dataloader', {}).get('batch_size', 0)
    return train.get('max_iters', 0) * batch


def _each(part: Any) -> Sequence[nn.Module]:
    return () if part is None else part if isinstance(part, nn.ModuleList) else [part]


def _steps(node: Any) -> Iterator[dict[str, Any]]:
    """Every transform of a loader, nested ones too."""
    if isinstance(node, dict):
        if str(node.get('type', '')).rpartition('.')[2] == 'Resize':
            yield node
        for each in node.values():
            yield from _steps(each)
    elif isinstance(node, list | tuple):
        for each in node:
            yield from _steps(each)
