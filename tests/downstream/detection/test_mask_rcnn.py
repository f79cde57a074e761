import numpy as np
import pytest
from PIL import Image

from downstream.detection.data import DetectionData
from downstream.detection.units import DetectionUnits
from mim_backbones.data_spec import DataSpec

# No decay over depth and no drop path: a handful of images is to be learnt by heart.
FAST = {
    'optim_wrapper.paramwise_cfg.layer_decay': 1.0,
    'optim_wrapper.optimizer.lr': 2e-3,
    'model.backbone.drop_path_rate': 0.0,
    'train_dataloader.batch_size': 4,
}


def schedule(iterations):
    return {
        **FAST,
        'train_cfg.max_iters': iterations,
        'param_scheduler.1.end': iterations,
        'default_hooks.logger.interval': 20,
    }


def overfit_spec(world):
    """The training images are the val images too."""
    data = DetectionData(
        root=world / 'coco',
        val_images='train2017',
        val_annotations='annotations/instances_train2017.json',
    )
    return DataSpec(world / 'data.yaml', {'detection': data})


@pytest.mark.slow
def test_mask_rcnn_learns_eight_images_by_heart(world, weights, make_job, train_job, tmp_path):
    job = make_job('detection', weights, options=schedule(160))
    found = train_job(job, overfit_spec(world))
    assert found.metrics['box_mAP'] > 20, found.metrics
    assert found.metrics['mask_mAP'] > 15, found.metrics
    assert isinstance(found.units, DetectionUnits)
    for name, value in found.units.observed().items():
        assert value == pytest.approx(found.metrics[name], abs=1e-3)
    (png,) = found.pictures.values()
    (tmp_path / 'sheet.png').write_bytes(png)
    assert np.asarray(Image.open(tmp_path / 'sheet.png')).std() > 20
