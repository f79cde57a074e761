"""A few samples of a test set, predicted once more for pictures, so that a metric keeps none."""

from typing import Any

import torch
from mmengine.runner import Runner

SHOWN = 4


def predict_some(runner: Runner, count: int = SHOWN) -> list[Any]:
    """Data samples with truth and prediction, evenly spaced over the test set."""
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
