"""Our large-scale jitter against mmdet's own transforms: same pictures, same draws, one process.

The two take turns at each picture, one thread each, and processor time counts, so that what else
the machine does touches both alike. Before anything is timed, boxes and masks are compared twice:
with those that mmdet gives when it keeps polygons, which must be the same, and with those of its
recipe, which fills each polygon at the picture's size and then resizes the pixels: its boxes are
the extent of those, and of a polygon that crosses itself it keeps what clipping loses.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from time import process_time
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.datasets import CocoDataset
from mmdet.registry import TRANSFORMS
from mmengine.registry import DefaultScope

from downstream.detection.data import DetectionData, read_split
from downstream.detection.input import large_scale_jitter
from downstream.detection.input.geometry import Draws, Jitter, plan
from downstream.detection.input.large_scale_jitter import LargeScaleJitter
from mim_backbones.bench.stages import Speed, StageClock, speed
from mim_backbones.errors import UserError

RATIO_RANGE, FLIP = (0.1, 2.0), 0.5
STAGES = ('decode', 'annotations', 'transform')
LARGE = 32**2  # pixels of a mask whose overlap is looked at: less is mostly edge
Sample = dict[str, Any]


@dataclass(frozen=True)
class Agreement:
    """How far two pipelines say the same of the same objects.

    Attributes:
        objects: that both keep.
        alone: that one of them keeps, by its name.
        box_pixels: median and 99th percentile of the largest difference of a box's sides, in
            pixels of the picture or of the result, whichever are larger.
        mask_iou: median and 1st percentile over objects of at least 32 x 32 pixels.
    """

    objects: int
    alone: dict[str, int]
    box_pixels: tuple[float, float]
    mask_iou: tuple[float, float]


@dataclass(frozen=True)
class LoaderRow:
    """The comparison at one size.

    Attributes:
        ratio: images per second and core, ours to mmdet's: lowest, median and highest repetition.
        polygons: agreement with mmdet's polygons (poly2mask=False).
        bitmaps: agreement with mmdet's recipe.
    """

    size: int
    decode: str
    images: int
    ours: Speed
    mmdet: Speed
    ratio: tuple[float, float, float]
    polygons: Agreement
    bitmaps: Agreement


def measure(
    data: DetectionData, size: int, images: int, repeats: int, decode: str, seed: int = 0
) -> LoaderRow:
    """Compare the pipelines on the first pictures of the training split.

    Args:
        size: side of the crop in pixels.
        images: how many pictures, at most.
        repeats: passes over them, each with draws of its own.

    Raises:
        UserError: the data cannot be read, or have no masks.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    samples = read_samples(data, images)
    ours = LargeScaleJitter((size, size), RATIO_RANGE, FLIP, decode=decode)
    with DefaultScope.overwrite_default_scope('mmdet'):
        pack = TRANSFORMS.build({'type': 'PackDetInputs'})
        rng = np.random.default_rng(seed)
        polygons, bitmaps = (
            agree(ours, pack, samples, poly2mask, seed) for poly2mask in (False, True)
        )
        # pipeline -> of each repetition the seconds of each stage
        spent: dict[str, list[np.ndarray]] = {'ours': [], 'mmdet': []}
        for _ in range(repeats):
            totals = {name: np.zeros(len(STAGES)) for name in spent}
            for sample in samples:
                draws = draw(rng)
                totals['ours'] += time_ours(ours, pack, copy.deepcopy(sample), draws)
                steps = stock_steps(plan_of(sample, draws, ours), pack)
                totals['mmdet'] += time_stock(steps, copy.deepcopy(sample))
            for name, total in totals.items():
                spent[name].append(total / len(samples))
    ratios = [b.sum() / a.sum() for a, b in zip(spent['ours'], spent['mmdet'], strict=True)]
    return LoaderRow(
        size=size,
        decode=decode,
        images=len(samples),
        ours=speed(spent['ours'], STAGES),
        mmdet=speed(spent['mmdet'], STAGES),
        ratio=(float(min(ratios)), float(median(ratios)), float(max(ratios))),
        polygons=polygons,
        bitmaps=bitmaps,
    )


def read_samples(data: DetectionData, images: int) -> list[Sample]:
    """The first pictures of the training split, as mmdet's data set gives them."""
    split = read_split(data.root, data.train_images, data.train_annotations)
    if not split.masks:
        raise UserError(f'{split.file} has no masks, which large-scale jitter is measured with')
    dataset = CocoDataset(
        data_root=str(data.root),
        ann_file=data.train_annotations,
        data_prefix={'img': data.train_images},
        metainfo={'classes': split.classes},
        pipeline=[],
    )
    return [dataset.get_data_info(i) for i in range(min(images, len(dataset)))]


def draw(rng: np.random.Generator) -> Draws:
    return Draws(rng.random(), rng.uniform(*RATIO_RANGE), rng.random())


def plan_of(sample: Sample, draws: Draws, ours: LargeScaleJitter) -> Jitter:
    return plan((sample['height'], sample['width']), draws, ours.size, FLIP)


def stock_steps(jitter: Jitter, pack: BaseTransform, poly2mask: bool = True) -> list[BaseTransform]:
    """mmdet's LSJ recipe (configs/common/lsj-100e_coco-instance.py) with these draws.

    Its flip comes first here, so that the crops are the same.
    """
    height, width = jitter.target
    build = TRANSFORMS.build
    crop = build({
        'type': 'RandomCrop', 'crop_size': (width, height), 'crop_type': 'absolute',
        'recompute_bbox': True, 'allow_negative_crop': True,
    })  # fmt: skip
    crop._rand_offset = lambda margin: jitter.offset
    return [
        build({'type': 'LoadImageFromFile'}),
        build({
            'type': 'LoadAnnotations', 'with_bbox': True, 'with_mask': True,
            'poly2mask': poly2mask,
        }),
        build({'type': 'RandomFlip', 'prob': float(jitter.flipped)}),
        build({
            'type': 'RandomResize', 'scale': jitter.resized[::-1], 'ratio_range': (1.0, 1.0),
            'keep_ratio': False,
        }),
        crop,
        build({
            'type': 'FilterAnnotations', 'min_gt_bbox_wh': (1e-2, 1e-2), 'keep_empty': False,
        }),
        pack,
    ]  # fmt: skip


def time_stock(steps: list[BaseTransform], sample: Sample) -> np.ndarray:
    """Seconds of each stage."""
    ticks = [process_time()]
    for step in steps:
        sample = step(sample)
        ticks.append(process_time())
    spent = np.diff(ticks)
    return np.array([spent[0], spent[1], spent[2:].sum()])


def time_ours(
    ours: LargeScaleJitter, pack: BaseTransform, sample: Sample, draws: Draws
) -> np.ndarray:
    """Seconds of each stage."""
    begin = process_time()
    reads, finds = StageClock(large_scale_jitter, 'read_picture'), StageClock(ours, '_objects')
    with reads as decode, finds as objects:
        pack(ours.apply(sample, draws))
    spent = process_time() - begin
    return np.array([decode.seconds, objects.seconds, spent - decode.seconds - objects.seconds])


def agree(
    ours: LargeScaleJitter,
    pack: BaseTransform,
    samples: list[Sample],
    poly2mask: bool,
    seed: int,
) -> Agreement:
    """Compare boxes and masks, object by object.

    poly2mask: whether mmdet fills polygons before anything else, as its recipe does.
    """
    rng = np.random.default_rng(seed)
    boxes, overlaps, both = [], [], 0
    alone = {'ours': 0, 'mmdet': 0}
    for sample in samples:
        draws = draw(rng)
        jitter = plan_of(sample, draws, ours)
        sample = copy.deepcopy(sample)
        if not poly2mask:  # as polygons mmdet takes no run-length mask
            sample['instances'] = [one for one in sample['instances'] if type(one['mask']) is list]
        for i, one in enumerate(sample['instances']):
            one['bbox_label'] = i  # the label tells which object it is
        left = dict(_objects(pack(ours.apply(copy.deepcopy(sample), draws))))
        stock = copy.deepcopy(sample)
        for step in stock_steps(jitter, pack, poly2mask):
            stock = step(stock)
        right = dict(_objects(stock))
        both += len(left.keys() & right.keys())
        alone['ours'] += len(left.keys() - right.keys())
        alone['mmdet'] += len(right.keys() - left.keys())
        for i in left.keys() & right.keys():
            (box, mask), (other, raster) = left[i], right[i]
            boxes.append(np.abs(box - other).max() / max(1, *jitter.factors))
            if min(mask.sum(), raster.sum()) >= LARGE:
                overlaps.append((mask & raster).sum() / (mask | raster).sum())
    return Agreement(both, alone, _spread(boxes, 99), _spread(overlaps, 1))


def _objects(packed: dict[str, Any]) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray]]]:
    found = packed['data_samples'].gt_instances
    masks = found.masks.to_ndarray().astype(bool)
    boxes = found.bboxes.tensor.numpy()
    yield from zip(found.labels.tolist(), zip(boxes, masks, strict=True), strict=True)


def _spread(values: list[float], percent: int) -> tuple[float, float]:
    """Median and a percentile; not a number where there is nothing."""
    if not values:
        return float('nan'), float('nan')
    return float(np.median(values)), float(np.percentile(values, percent))
