"""How trained models are run for evaluation and for pictures."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.runner import Runner

from downstream.task import Evaluation
from mim_backbones.training.distributed import undistributed
from mim_backbones.training.precision import autocast

SHOWN = 4


def score_and_draw(
    runner: Runner, sheet: Callable[[Sequence[Any], Sequence[str]], bytes], name: str
) -> Evaluation:
    """Score a detector or segmenter on its test set, and draw some of its predictions.

    Args:
        sheet: (data samples, class names) -> PNG.
        name: of the picture.
    """
    with fast_features(runner):
        metrics = runner.test()
        shown = predict_some(runner)
    classes = runner.test_dataloader.dataset.metainfo['classes']
    units = runner.test_evaluator.metrics[0].units
    return Evaluation(metrics, units, {name: sheet(shown, classes)})


@contextmanager
def fast_features(runner: Runner, method: str = 'extract_feat') -> Iterator[None]:
    """Run a method of the model under autocast; what else it does stays in float32.

    In detectors and segmenters that is backbone and neck: under bf16 heads would give scores of 8
    bits, detections tie, and their order decides AP. From outside autocast does not reach a model:
    mmengine's loops turn it off.
    """
    model = undistributed(runner.model)
    device = next(model.parameters()).device.type
    plain = getattr(model, method)

    def fast(*args: Any, **kwargs: Any) -> Any:
        with autocast(device, 'auto'):
            found = plain(*args, **kwargs)
        if isinstance(found, tuple):
            return tuple(each.float() for each in found)
        return found

    setattr(model, method, fast)
    try:
        yield
    finally:
        delattr(model, method)


def predict_some(runner: Runner, count: int = SHOWN) -> list[Any]:
    """Data samples with truth and prediction, evenly spaced over the test set.

    They are predicted once more, so that the metrics need not keep predictions for pictures.
    """
    loader = runner.test_dataloader
    runner.model.eval()
    samples = []
    with torch.no_grad():
        for index in evenly_spaced(len(loader.dataset), count):
            batch = loader.collate_fn([loader.dataset[index]])
            samples += runner.model.test_step(batch)
    return samples


def evenly_spaced(total: int, count: int) -> list[int]:
    """`count` of the indices below `total`, or all of them, with half a gap at either end."""
    count = min(count, total)
    return [(2 * place + 1) * total // (2 * count) for place in range(count)]
