"""How trained detectors and segmenters are run for evaluation and for pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn as nn
from mmengine.runner import Runner
from torch import Tensor

from mim_backbones.training.precision import autocast

SHOWN = 4


@contextmanager
def fast_features(model: nn.Module, precision: str = 'auto') -> Iterator[None]:
    """Backbone and neck of an mmdet or mmseg model run under autocast, the heads in float32.

    Under bf16 heads would give scores of 8 bits: detections tie, and their order decides AP.
    """
    extract = model.extract_feat

    def extract_feat(inputs: Tensor) -> tuple[Tensor, ...]:
        with autocast(inputs.device.type, precision):
            maps = extract(inputs)
        return tuple(each.float() for each in maps)

    model.extract_feat = extract_feat
    try:
        yield
    finally:
        del model.extract_feat


def predict_some(runner: Runner, count: int = SHOWN) -> list[Any]:
    """Data samples with truth and prediction, evenly spaced over the test set.

    They are predicted once more, so that the metrics need not keep predictions for pictures.
    """
    loader = runner.test_dataloader
    total = len(loader.dataset)
    shown = sorted({(2 * i + 1) * total // (2 * count) for i in range(count)})
    runner.model.eval()
    samples = []
    with torch.no_grad():
        for index in shown:
            batch = loader.collate_fn([loader.dataset[index]])
            samples += runner.model.test_step(batch)
    return samples
