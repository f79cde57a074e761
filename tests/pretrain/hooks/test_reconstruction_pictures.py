from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from mim_backbones.training.launch import build_runner
from pretrain.hooks.reconstruction_pictures import ReconstructionPictures
from tests.pretrain.small import VIT, recipe, write_blobs


@pytest.fixture
def images(tmp_path):
    return write_blobs(tmp_path / 'images', px=20)


def trained(work_dir, images, hooks: list[dict]) -> dict[str, torch.Tensor]:
    backbone = {**VIT, 'img_size': 16, 'drop_path_rate': 0.5}
    config = recipe({'type': 'SimMIM', 'backbone': backbone}, images, work_dir, epochs=3)
    config.custom_hooks = [*config.custom_hooks, *hooks]
    config.custom_hooks[1].limit = 0.5
    config.visualizer.vis_backends = [{'type': 'TensorboardVisBackend'}]
    runner = build_runner(config)
    runner.train()
    return runner.model.state_dict()


def test_pictures_are_drawn_and_training_does_not_notice(tmp_path, images) -> None:
    (images / '000.png').write_bytes(b'no picture')
    hook = {'type': 'ReconstructionPictures', 'interval': 2, 'count': 4}
    watched = trained(tmp_path / 'watched', images, [hook])
    found = sorted(path.name for path in (tmp_path / 'watched/reconstructions').iterdir())
    assert found == ['epoch_2.png', 'epoch_3.png']
    picture = Image.open(tmp_path / 'watched/reconstructions/epoch_2.png')
    assert picture.size == (3 * 128 + 4 * 6, 3 * 128 + 4 * 6 + 18)  # three of the four can be read
    assert list((tmp_path / 'watched').rglob('events.out.tfevents*'))
    alone = trained(tmp_path / 'alone', images, [])
    assert all(torch.equal(watched[name], alone[name]) for name in alone)


def test_a_method_without_colours_is_left_alone() -> None:
    said: list[str] = []
    runner = SimpleNamespace(
        model=torch.nn.Linear(1, 1), logger=SimpleNamespace(info=said.append), epoch=0, max_epochs=1
    )
    hook = ReconstructionPictures(interval=1)
    hook.before_train(runner)
    assert said == ['no reconstruction pictures: Linear predicts no colours']
    hook.after_train_epoch(runner)  # nothing is drawn: the runner has no images
