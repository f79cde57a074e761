import numpy as np
import pytest
from PIL import Image

from downstream.segmentation.units import SegmentationUnits
from mim_backbones.data_spec import DataSpec, load_data_spec

FAST = {
    'optim_wrapper.paramwise_cfg.layer_decay': 1.0,
    'optim_wrapper.optimizer.lr': 2e-3,
    'model.backbone.drop_path_rate': 0.0,
    'train_dataloader.batch_size': 4,
    'train_cfg.max_iters': 100,
    'param_scheduler.1.end': 100,
}


def overfit_spec(world):
    """The training images are the val images too."""
    from dataclasses import replace

    data = load_data_spec(world)['segmentation']
    return DataSpec(world / 'data.yaml', {'segmentation': replace(data, val='training')})


@pytest.mark.slow
def test_upernet_learns_eight_images_by_heart(world, weights, make_job, train_job, tmp_path):
    job = make_job('segmentation', weights, options=FAST)
    found = train_job(job, overfit_spec(world))
    assert found.metrics['mIoU'] > 25, found.metrics
    assert found.metrics['aAcc'] > 70, found.metrics
    assert isinstance(found.units, SegmentationUnits)
    assert found.units.observed() == pytest.approx(found.metrics)
    (png,) = found.pictures.values()
    (tmp_path / 'sheet.png').write_bytes(png)
    assert np.asarray(Image.open(tmp_path / 'sheet.png')).std() > 20
