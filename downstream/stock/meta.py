"""Models without weights: what a config builds, and the shapes that go through it, in no time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from torch.overrides import TorchFunctionMode

META = torch.device('meta')
WEIGHTS = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full}


class NoWeights(TorchFunctionMode):
    """Weights are made on the meta device; small tables (drop paths, indices) where they can be
    read."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if func in WEIGHTS and options.get('device') is None:
            options['device'] = META
        return func(*args, **options)


def build_empty(cfg: Config, model: dict[str, Any]) -> nn.Module:
    """A model, or a part of one, of a config's scope; in eval mode, wholly on the meta device."""
    with in_scope(cfg), NoWeights():
        built = revert_sync_batchnorm(MODELS.build(model))
    built = built.to(META)
    built.eval()  # some of mmdet's backbones return nothing here
    return built


@contextmanager
def in_scope(cfg: Config) -> Iterator[None]:
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        yield
