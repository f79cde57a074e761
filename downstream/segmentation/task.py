"""Semantic segmentation: what the suite has to know of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from downstream.evaluation.backbone_config import fit_backbone, fit_neck
from downstream.segmentation.data import (
    LABEL_SUFFIX,
    SegmentationData,
    describe,
    image_suffix,
)
from downstream.task import Evaluation, Task

if TYPE_CHECKING:
    from pathlib import Path

    from mmengine.config import Config, ConfigDict
    from mmengine.runner import Runner

    from downstream.evaluation.backbone_config import Maps
    from downstream.evaluation.job import Job
    from downstream.evaluation.progress import Progress
    from downstream.segmentation.units import SegmentationUnits


def fit(cfg: 'Config', job: 'Job', data: SegmentationData) -> None:
    """Classes, labels and roots of the data; backbone of the checkpoint under the protocol."""
    fit_widths(cfg, fit_backbone(cfg, job))
    fit_data(cfg, data)


def fit_widths(cfg: 'Config', maps: 'Maps') -> None:
    """Neck and heads follow the backbone's channels."""
    model, channels = cfg.model, list(maps.channels)
    if model.get('neck'):
        fit_neck(model.neck, maps)
    # A neck with out_channels says what the heads get.
    if 'out_channels' not in (model.get('neck') or {}):
        for head in heads(cfg):
            several = isinstance(head.in_channels, Sequence)
            head.in_channels = channels if several else channels[head.in_index]


def heads(cfg: 'Config') -> list['ConfigDict']:
    return [cfg.model[name] for name in ('decode_head', 'auxiliary_head') if name in cfg.model]


def fit_data(cfg: 'Config', data: SegmentationData) -> None:
    """Classes, labels and roots of the data."""
    for head in heads(cfg):
        head.num_classes, head.ignore_index = len(data.classes), data.ignore_index
    cfg.model.data_preprocessor.seg_pad_val = data.ignore_index
    for transform in transforms(cfg._cfg_dict):
        if transform.type == 'RandomCrop':
            transform.ignore_index = data.ignore_index
        if transform.type == 'downstream.LoadLabels':
            transform.update(num_classes=len(data.classes), ignore_index=data.ignore_index)
    train = cfg.train_dataloader.dataset
    splits = [(train.get('dataset', train), data.train)]
    for split in ('val', 'test'):
        if f'{split}_dataloader' in cfg:
            splits.append((cfg[f'{split}_dataloader'].dataset, data.val))
            cfg[f'{split}_evaluator'].ignore_index = data.ignore_index
    for dataset, split in splits:
        dataset.update(
            type='BaseSegDataset',  # a class made for one data set refuses other classes
            data_root=str(data.root),
            metainfo={'classes': data.classes},
            data_prefix={'img_path': f'images/{split}', 'seg_map_path': f'annotations/{split}'},
            img_suffix=image_suffix(data, split),
            seg_map_suffix=LABEL_SUFFIX,
            ignore_index=data.ignore_index,
            reduce_zero_label=data.reduce_zero_label,
        )


def transforms(node: Any) -> Iterator[Any]:
    """Every transform of every pipeline of a config, those of several test views included."""
    for key, value in node.items() if isinstance(node, Mapping) else enumerate(node):
        if isinstance(key, int) and isinstance(value, Mapping) and 'type' in value:
            yield value
        if isinstance(value, Mapping | list):
            yield from transforms(value)


def run(runner: 'Runner', progress: 'Progress') -> Evaluation:
    """mIoU over the val split, and a sheet of label maps."""
    from downstream.evaluation.inference import score_and_draw
    from downstream.segmentation.picture import label_sheet

    return score_and_draw(runner, label_sheet, 'segmentation.png')


def score_predictions(data: SegmentationData, predictions: 'Path') -> Evaluation:
    """mIoU of a folder of label maps."""
    from downstream.segmentation.label_maps import score_maps

    return score_maps(data, predictions)


def units() -> 'type[SegmentationUnits]':
    from downstream.segmentation.units import SegmentationUnits

    return SegmentationUnits


TASK = Task(
    name='segmentation',
    aliases=('ade20k',),
    data=SegmentationData,
    unit='images',
    metrics={'mIoU': 'mIoU', 'mAcc': 'mAcc', 'aAcc': 'aAcc'},
    headline=('mIoU',),
    published={'mIoU': 'mIoU'},
    units=units,
    describe=describe,
    fit=fit,
    fit_data=fit_data,
    run=run,
    score_predictions=score_predictions,
)
