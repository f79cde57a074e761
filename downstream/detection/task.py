"""Detection and instance segmentation: what the suite has to know of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from downstream.detection.data import DetectionData, boxes_alone, describe, read_split
from downstream.evaluation.backbone_config import fit_backbone, fit_neck
from downstream.task import Evaluation, Task

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

    from downstream.detection.units import DetectionUnits
    from downstream.evaluation.job import Job
    from downstream.evaluation.progress import Progress

# Parts of a model whose classes, if any, are not the data's.
CLASSLESS = {'backbone', 'neck', 'rpn_head', 'semantic_head', 'data_preprocessor'}
LOADS_MASKS = ('LoadAnnotations', 'downstream.LargeScaleJitter')


def fit(cfg: 'Config', job: 'Job', data: DetectionData) -> None:
    """Class count and roots of the data; backbone of the checkpoint under the protocol."""
    maps = fit_backbone(cfg, job)
    fit_neck(cfg.model.neck, maps)
    fit_data(cfg, data, tuple(job.card.classes))


def fit_data(cfg: 'Config', data: DetectionData, classes: tuple[str, ...] = ()) -> None:
    """Class count and roots of the data; classes: read from the annotations if not given."""
    if not classes:
        classes = read_split(data.root, data.train_images, data.train_annotations).classes
    for head in class_heads(cfg.model):
        head['num_classes'] = len(classes)
    if boxes_alone(data):
        _leave_masks_out(cfg)
    train = cfg.train_dataloader.dataset
    splits = [(train.get('dataset', train), data.train_images, data.train_annotations)]
    for split in ('val', 'test'):
        if f'{split}_dataloader' in cfg:
            dataset = cfg[f'{split}_dataloader'].dataset
            splits.append((dataset, data.val_images, data.val_annotations))
            cfg[f'{split}_evaluator'].ann_file = str(data.root / data.val_annotations)
    for dataset, images, annotations in splits:
        dataset.data_root = str(data.root)
        dataset.data_prefix = {'img': images}
        dataset.ann_file = annotations
        dataset.metainfo = {'classes': classes}


def class_heads(node: Any) -> Iterator[dict[str, Any]]:
    """Every part of a model's config that states a number of the data's classes.

    One head or a list of them, of one stage or two; a proposal head tells objects from none.
    """
    if isinstance(node, list | tuple):
        for each in node:
            yield from class_heads(each)
    elif isinstance(node, dict):
        if 'num_classes' in node:
            yield node
        for name, each in node.items():
            if name not in CLASSLESS:
                yield from class_heads(each)


def _leave_masks_out(cfg: 'Config') -> None:
    """Boxes alone: no mask head, and no pipeline that looks for masks."""
    for part in ('mask_head', 'mask_roi_extractor'):
        cfg.model.get('roi_head', {}).pop(part, None)
    for split in ('train', 'val', 'test'):
        dataset = cfg.get(f'{split}_dataloader', {}).get('dataset')
        while dataset is not None:
            for step in dataset.get('pipeline', ()):
                if step.type in LOADS_MASKS:
                    step.with_mask = False
            dataset = dataset.get('dataset')


def run(runner: 'Runner', progress: 'Progress') -> Evaluation:
    """Box and mask AP over the val split, and a sheet of detections."""
    from downstream.detection.picture import instance_sheet
    from downstream.evaluation.inference import score_and_draw

    return score_and_draw(runner, instance_sheet, 'detections.png')


def units() -> 'type[DetectionUnits]':
    from downstream.detection.units import DetectionUnits

    return DetectionUnits


TASK = Task(
    name='detection',
    aliases=('coco',),
    data=DetectionData,
    unit='images',
    metrics={
        'mask_mAP': 'mask AP',
        'box_mAP': 'box AP',
        'mask_mAP_50': 'mask AP50',
        'box_mAP_50': 'box AP50',
        'mask_mAP_75': 'mask AP75',
        'box_mAP_75': 'box AP75',
        'mask_mAP_s': 'mask AP small',
        'mask_mAP_m': 'mask AP medium',
        'mask_mAP_l': 'mask AP large',
        'box_mAP_s': 'box AP small',
        'box_mAP_m': 'box AP medium',
        'box_mAP_l': 'box AP large',
    },
    headline=('mask_mAP', 'box_mAP'),
    published={'APbox': 'box_mAP', 'APmask': 'mask_mAP'},
    units=units,
    describe=describe,
    fit=fit,
    fit_data=fit_data,
    run=run,
)
