"""Detection and instance segmentation as `mimbench eval` runs them; see downstream/jobs.py."""

from typing import TYPE_CHECKING

from downstream.detection.data import class_names, describe
from downstream.evaluation.backbone_config import task_backbone, width_of
from downstream.evaluation.job import DataCard, Evaluation, Job
from mim_backbones.data_spec import DataSpec, require

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

    from downstream.evaluation.progress import Progress


def describe_data(spec: DataSpec) -> DataCard:
    """Raises UserError when the COCO data set is broken."""
    return describe(require(spec, 'detection'))


def fit_recipe(cfg: 'Config', job: Job, spec: DataSpec) -> None:
    """Class count and roots of the data; backbone and patch size of the checkpoint."""
    data = require(spec, 'detection')
    classes = class_names(data)
    model = cfg.model
    backbone = task_backbone(
        job.backbone, model.backbone, job.checkpoint.path if job.checkpoint else None
    )
    cfg.merge_from_dict(
        {
            'model.neck.in_channels': width_of(backbone),
            'model.neck.patch_size': backbone.get('patch_size', 16),
            'model.roi_head.bbox_head.num_classes': len(classes),
            'model.roi_head.mask_head.num_classes': len(classes),
        }
    )
    cfg.model.backbone = backbone
    train, val = cfg.train_dataloader.dataset.dataset, cfg.test_dataloader.dataset
    for dataset, images, annotations in (
        (train, data.train_images, data.train_annotations),
        (val, data.val_images, data.val_annotations),
    ):
        dataset.data_root = str(data.root)
        dataset.data_prefix = {'img': images}
        dataset.ann_file = annotations
        dataset.metainfo = {'classes': classes}
    cfg.test_evaluator.ann_file = str(data.root / data.val_annotations)


def evaluate(runner: 'Runner', progress: 'Progress') -> Evaluation:
    """Box and mask AP over the val split, and a sheet of detections."""
    from downstream.detection.picture import instance_sheet
    from downstream.evaluation.inference import fast_features, predict_some

    with fast_features(runner.model):
        metrics = runner.test()
        shown = predict_some(runner)
    metric = runner.test_evaluator.metrics[0]
    classes = runner.test_dataloader.dataset.metainfo['classes']
    picture = instance_sheet(shown, classes)
    primary = 'mask_mAP' if 'mask_mAP' in metrics else 'box_mAP'
    return Evaluation(metrics, primary, metric.units, {'detections.png': picture})
