"""Semantic segmentation: what the suite has to know of it."""

from typing import TYPE_CHECKING

from downstream.evaluation.backbone_config import task_backbone, width_of
from downstream.segmentation.data import LABEL_SUFFIX, SegmentationData, describe, read_split
from downstream.task import Evaluation, Task

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

    from downstream.evaluation.job import Job
    from downstream.evaluation.progress import Progress
    from downstream.segmentation.units import SegmentationUnits


def fit(cfg: 'Config', job: 'Job', data: SegmentationData) -> None:
    """Classes, labels and roots of the data; backbone and patch size of the checkpoint."""
    model = cfg.model
    blocks = len(model.decode_head.in_channels)
    backbone = task_backbone(
        job.backbone, model.backbone, job.checkpoint.path if job.checkpoint else None, blocks
    )
    width = width_of(backbone)
    changes = {
        'model.data_preprocessor.seg_pad_val': data.ignore_index,
        'model.neck.in_channels': width,
        'model.neck.patch_size': backbone.get('patch_size', 16),
        'model.decode_head.in_channels': [width] * blocks,
        'test_evaluator.ignore_index': data.ignore_index,
    }
    heads = ['decode_head'] + ['auxiliary_head'] * ('auxiliary_head' in model)
    for head in heads:
        changes[f'model.{head}.num_classes'] = len(data.classes)
        changes[f'model.{head}.ignore_index'] = data.ignore_index
    if 'auxiliary_head' in model:
        changes['model.auxiliary_head.in_channels'] = width
    cfg.merge_from_dict(changes)
    cfg.model.backbone = backbone
    train = cfg.train_dataloader.dataset
    for transform in train.pipeline:
        if 'ignore_index' in transform:
            transform.ignore_index = data.ignore_index
    for dataset, split in ((train.dataset, data.train), (cfg.test_dataloader.dataset, data.val)):
        dataset.update(_dataset(data, split))


def _dataset(data: SegmentationData, split: str) -> dict:
    return {
        'data_root': str(data.root),
        'metainfo': {'classes': data.classes},
        'data_prefix': {'img_path': f'images/{split}', 'seg_map_path': f'annotations/{split}'},
        'img_suffix': read_split(data, split).suffix,
        'seg_map_suffix': LABEL_SUFFIX,
        'ignore_index': data.ignore_index,
        'reduce_zero_label': data.reduce_zero_label,
    }


def run(runner: 'Runner', progress: 'Progress') -> Evaluation:
    """mIoU over the val split, and a sheet of label maps."""
    from downstream.evaluation.inference import fast_features, predict_some
    from downstream.segmentation.picture import label_sheet

    with fast_features(runner.model):
        metrics = runner.test()
        shown = predict_some(runner)
    metric = runner.test_evaluator.metrics[0]
    classes = runner.test_dataloader.dataset.metainfo['classes']
    picture = label_sheet(shown, classes)
    return Evaluation(metrics, metric.units, {'segmentation.png': picture})


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
    run=run,
)
