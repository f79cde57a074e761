"""Parameters and operations of a config's model, counted by mmengine's analysis.

A multiplication with its addition is one operation there, as in OpenMMLab's tables and in papers.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
import torch.nn as nn
from mmengine.analysis import FlopAnalyzer, parameter_count
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope

from mim_backbones.errors import UserError
from mim_backbones.training.config import require_keys
from mim_backbones.training.launch import build_errors_in_one_line

ATTENTION = 'aten::scaled_dot_product_attention'  # which mmengine's counter does not know


class _Features(nn.Module):
    """Backbone and neck of a detector or segmenter."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> Any:
        return self.model.extract_feat(image)  # type: ignore[operator]


def complexity(cfg: Config, shape: Sequence[int] | None = None) -> str:
    """A line for the input, the backbone, and what else runs on an image alone.

    Args:
        shape: height and width of the image in pixels, or one for both; default: the backbone's
            img_size, else 512.

    Raises:
        UserError: no model with a backbone, one that cannot be built, or a shape that is none.
    """
    require_keys(cfg, 'recipe', 'model.backbone')
    own = cfg.model.backbone.get('img_size', 512)
    sides = list(shape or (own if isinstance(own, Sequence) else [own]))
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise UserError(f'--shape {" ".join(map(str, sides))}: give one side or two, in pixels')
    image = torch.zeros(1, 3, sides[0], sides[-1])
    scope = DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine')
    with scope, build_errors_in_one_line(str(cfg.filename)):
        model = revert_sync_batchnorm(MODELS.build(cfg.model)).eval()
        size = parameter_count(model)
        lines = [
            f'input      {sides[0]} x {sides[-1]}',
            f'backbone   {size["backbone"] / 1e6:9.2f} M parameters'
            f' {operations(model.backbone, image) / 1e9:10.2f} G multiply-adds',
            f'model      {size[""] / 1e6:9.2f} M parameters',
        ]
        if hasattr(model, 'extract_feat'):
            count = operations(_Features(model), image)
            lines[-1] += f' {count / 1e9:10.2f} G multiply-adds in backbone and neck'
    return '\n'.join(lines)


def operations(module: nn.Module, image: torch.Tensor) -> int:
    """Multiply-adds of a module on an image."""
    with torch.no_grad():
        counter = FlopAnalyzer(module, image)
        counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counter.set_op_handle(ATTENTION, attention_flops)
        return int(counter.total())


def attention_flops(inputs: list[Any], outputs: list[Any]) -> int:
    """Two products for each head: queries with keys, weights with values."""
    query, key, value = (one.type().sizes() for one in inputs[:3])
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
