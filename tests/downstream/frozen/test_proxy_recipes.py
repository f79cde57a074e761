"""Every recipe of tier `proxy`: at its real size on the meta device, and end to end, shrunk."""

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope

from downstream.task import find_task
from mim_backbones.data_spec import load_data_spec
from mim_backbones.training.config import read_config
from tests.downstream.frozen.conftest import PROXIES

# Trained and saved, in millions; of frozen ones the heads. UperNet on Swin-T: 60 M as released.
MILLIONS = {
    'knn-vit': 0, 'knn-swin': 0, 'knn-hiera': 0,
    'linear-vit-20k': 0.117, 'linear-swin-20k': 0.234, 'linear-hiera-20k': 0.175,
    'mask-rcnn-vit-frozen': 25.0, 'mask-rcnn-swin-frozen': 22.3, 'mask-rcnn-hiera-frozen': 22.2,
    'upernet-vit-20k': 127.7, 'upernet-swin-20k': 59.9, 'upernet-hiera-20k': 84.5,
}  # fmt: skip


@pytest.mark.parametrize('name', PROXIES)
def test_it_builds_at_its_real_size(name: str) -> None:
    cfg = read_config(PROXIES[name].path)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    count = sum(each.numel() for each in model.parameters()) / 1e6
    assert count == pytest.approx(MILLIONS[name], rel=0.01, abs=0.001)
    side = cfg.model.backbone.img_size
    assert side == (640 if PROXIES[name].protocol.task == 'detection' else 512)
    maps = model.extract_feat(torch.empty(1, 3, side, side, device='meta'))
    assert maps[0].shape[2] == side // (16 if name.startswith(('knn', 'linear')) else 4)


@pytest.mark.parametrize('task', ['detection', 'segmentation'])
@pytest.mark.parametrize('family', ['vit', 'swin', 'hiera'])
def test_every_family_has_each_kind(task: str, family: str) -> None:
    kinds = {
        name.partition('-')[0]
        for name, one in PROXIES.items()
        if (one.protocol.task, one.protocol.family) == (task, family)
    }
    assert kinds == ({'mask'} if task == 'detection' else {'linear', 'knn', 'upernet'})


@pytest.mark.slow
@pytest.mark.parametrize('name', PROXIES)
def test_it_trains_and_scores(name, world, checkpoint, proxy_job, train_job) -> None:
    job = proxy_job(name, checkpoint(PROXIES[name].protocol.family))
    found = train_job(job, load_data_spec(world))
    assert find_task(job.task).primary(found.metrics)
    assert len(found.units) == 4
    assert found.pictures
    # Heads alone are saved.
    (file,) = job.log_folder.glob('*.pth')
    saved = torch.load(file, weights_only=False)['state_dict']
    assert name.startswith('upernet') == any(key.startswith('backbone') for key in saved)
