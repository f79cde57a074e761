"""The evaluators that are measured, each in a process of its own, fed with the same predictions.

    python -m downstream.bench.evaluators TASK SIDE FOLDER      prints a JSON object

Reading a picture's predictions is in no figure; what an evaluator does with them is: `process` of
each picture, then `evaluate` of all. Detection starts at boxes and encoded masks, segmentation at
label maps or, as 'logits', at a quarter of the resolution with resizing and argmax on both sides.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.evaluation import CocoMetric
from mmengine.logging import MMLogger
from mmseg.evaluation import IoUMetric
from mmseg.models.utils import resize
from pycocotools.cocoeval import COCOeval

from downstream.bench.predictions import CLASSES, INSTANCES, MAPS, NAMES, TRUTH, draw_logits, read
from downstream.detection.metric import InstanceAP
from downstream.results.interval import half_scores
from downstream.segmentation.labels import resized_argmax
from downstream.segmentation.metric import PixelIoU
from mim_backbones.bench.measure import peak_mib

LOGITS = 'logits'
COCO_FIGURES = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l', 'AR')


def measure(task: str, side: str, folder: Path) -> dict[str, Any]:
    """seconds, peak MiB above what is held before, figures in percent; `ours`: also of intervals.

    side: 'ours' or 'theirs'.
    """
    torch.set_num_threads(1)
    scores: dict[str, float] = {}
    clock = _Clock()
    metric: list[Any] = []

    def score() -> None:
        found, samples = _SIDES[task, side](folder, clock, scores)
        for sample in samples:
            with clock:
                found.process({}, [sample])
            clock.pictures += 1
        with clock:
            figures = found.evaluate(clock.pictures)
        scores.update({key: float(value) for key, value in figures.items() if key not in scores})
        metric.append(found)

    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere):
        peak = peak_mib(score)
    record = {'seconds': clock.seconds, 'cpu_seconds': clock.cpu_seconds, 'peak_mib': peak}
    record['scores'] = scores
    if side == 'ours':
        begun = time.perf_counter()
        half_scores(metric[0].units)
        record['interval_seconds'] = time.perf_counter() - begun
    return record


class _Clock:
    """Adds up the time spent inside of it, the clock's and the processor's."""

    def __init__(self) -> None:
        self.seconds, self.cpu_seconds, self.pictures = 0.0, 0.0, 0

    def __enter__(self) -> None:
        self.begun = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self.begun[0]
        self.cpu_seconds += time.process_time() - self.begun[1]


Side = tuple[Any, Iterable[dict[str, Any]]]  # a metric, and what it is fed with


def _our_detection(folder: Path, clock: _Clock, scores: dict[str, float]) -> Side:
    with clock:
        metric = InstanceAP(str(folder / TRUTH))
    metric.dataset_meta = {'classes': NAMES}
    return metric, _instances(folder)


def _mmdets_detection(folder: Path, clock: _Clock, scores: dict[str, float]) -> Side:
    plain = COCOeval.summarize

    def summarize(self: Any) -> None:
        """mmdet rounds to three digits; here the figures are kept as they are."""
        plain(self)
        kind = {'bbox': 'box', 'segm': 'mask'}[self.params.iouType]
        scores.update({f'{kind}_{k}': 100 * float(v) for k, v in zip(COCO_FIGURES, self.stats)})

    COCOeval.summarize = summarize
    with clock:
        metric = CocoMetric(str(folder / TRUTH), metric=['bbox', 'segm'])
    metric.dataset_meta = {'classes': NAMES}
    return metric, _instances(folder)


def _our_segmentation(folder: Path, clock: _Clock, scores: dict[str, float]) -> Side:
    metric = PixelIoU()
    metric.dataset_meta = {'classes': tuple(map(str, range(CLASSES)))}
    return metric, _maps(folder)


def _mmsegs_segmentation(folder: Path, clock: _Clock, scores: dict[str, float]) -> Side:
    plain = IoUMetric.total_area_to_metrics

    def total_area_to_metrics(*args: Any, **kwargs: Any) -> Any:
        """mmseg rounds to two digits; here the figures are kept as they are."""
        found = plain(*args, **kwargs)
        for name, value in found.items():
            scores[name if name == 'aAcc' else f'm{name}'] = 100 * float(np.nanmean(value))
        return found

    metric = IoUMetric()
    metric.total_area_to_metrics = total_area_to_metrics
    metric.dataset_meta = {'classes': tuple(map(str, range(CLASSES)))}
    return metric, _maps(folder)


def _our_logits(folder: Path, clock: _Clock, scores: dict[str, float]) -> Side:
    metric, samples = _our_segmentation(folder, clock, scores)
    return metric, _from_logits(samples, clock, resized_argmax)


def _mmsegs_logits(folder: Path, clock: _Clock, scores: dict[str, float]) -> Side:
    def labels(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        return resize(logits, size, mode='bilinear', align_corners=False, warning=False).argmax(1)

    metric, samples = _mmsegs_segmentation(folder, clock, scores)
    return metric, _from_logits(samples, clock, labels)


_SIDES: dict[tuple[str, str], Callable[[Path, _Clock, dict[str, float]], Side]] = {
    ('detection', 'ours'): _our_detection,
    ('detection', 'theirs'): _mmdets_detection,
    ('segmentation', 'ours'): _our_segmentation,
    ('segmentation', 'theirs'): _mmsegs_segmentation,
    (LOGITS, 'ours'): _our_logits,
    (LOGITS, 'theirs'): _mmsegs_logits,
}


def _instances(folder: Path) -> Iterator[dict[str, Any]]:
    """Samples as mmdet hands them to a metric."""
    for image, boxes, scores, labels, masks in read(folder / INSTANCES):
        found = {key: torch.from_numpy(each) for key, each in
                 (('bboxes', boxes), ('scores', scores), ('labels', labels))}  # fmt: skip
        yield {
            'img_id': image,
            'ori_shape': masks[0]['size'],
            'pred_instances': {**found, 'masks': masks},
        }


def _maps(folder: Path) -> Iterator[dict[str, Any]]:
    """Samples as mmseg hands them to a metric: int64 maps."""
    for number, (prediction, label) in enumerate(read(folder / MAPS)):
        yield {
            'img_path': f'{number:06d}.jpg',
            'seg_map_path': f'{number:06d}.png',
            'pred_sem_seg': {'data': torch.from_numpy(prediction).long()[None]},
            'gt_sem_seg': {'data': torch.from_numpy(label).long()[None]},
        }


def _from_logits(
    samples: Iterable[dict[str, Any]], clock: _Clock, labels: Callable[..., torch.Tensor]
) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0)
    for sample in samples:
        prediction = sample['pred_sem_seg']['data'][0]
        logits = torch.from_numpy(draw_logits(prediction.to(torch.uint8).numpy(), rng))
        with clock:
            sample['pred_sem_seg'] = {'data': labels(logits, tuple(prediction.shape))}
        yield sample


def main() -> None:
    task, side, folder = sys.argv[1:]
    MMLogger.get_current_instance().setLevel('ERROR')
    record = measure(task, side, Path(folder))
    print(json.dumps(record))


if __name__ == '__main__':
    main()
