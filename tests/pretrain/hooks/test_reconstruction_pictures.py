from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mim_backbones.training.launch import build_runner
from pretrain.hooks.reconstruction_pictures import ReconstructionPictures

CONFIG = {
    'default_scope': 'pretrain',
    'model': {
        'type': 'SimMIM',
        'backbone': {
            'type': 'mim_backbones.MIMViT', 'arch': {'embed_dim': 16, 'depth': 1, 'num_heads': 2},
            'img_size': 16, 'patch_size': 8, 'mask_token': True, 'drop_path_rate': 0.5,
        },
    },
    'train_dataloader': {
        'batch_size': 2,
        'sampler': {'type': 'SeededSampler', 'seed': 0},
        'collate_fn': {'type': 'default_collate'},
        'dataset': {
            'type': 'UnlabelledImages', 'img_size': 16,
            'masker': {'type': 'RandomPatchMasker', 'img_size': 16, 'patch_size': 8, 'unit_px': 8},
        },
    },
    'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.1}},
    'train_cfg': {'by_epoch': True, 'max_epochs': 3},
    'visualizer': {
        'type': 'Visualizer', 'name': 'hook', 'vis_backends': [{'type': 'TensorboardVisBackend'}],
    },
    'default_hooks': {'checkpoint': None, 'logger': None},
    'log_level': 'ERROR',
    'randomness': {'seed': 0},
}  # fmt: skip


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(4):
        Image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(folder / f'{i}.png')
    return folder


def trained(work_dir, images, hooks: list[dict]) -> dict[str, torch.Tensor]:
    config = Config({**CONFIG, 'work_dir': str(work_dir), 'custom_hooks': hooks})
    config.experiment_name = work_dir.name
    config.train_dataloader.dataset.root = str(images)
    config.visualizer.name = work_dir.name
    runner = build_runner(config)
    runner.train()
    return runner.model.state_dict()


def test_pictures_are_drawn_and_training_does_not_notice(tmp_path, images) -> None:
    (images / '0.png').write_bytes(b'no picture')
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
