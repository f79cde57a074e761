"""What every registered method promises: it trains, resumes, and loads again from its file."""

import shutil

import pytest
import torch

from mim_backbones import from_checkpoint
from mim_backbones.errors import UserError
from mim_backbones.training.launch import build_runner
from pretrain.methods.base import MaskedImageModel, Method
from pretrain.methods.load import load_method
from pretrain.registry import MODELS, build
from tests.pretrain.small import (
    FEATURES,
    HIERA,
    METHODS,
    SWIN,
    VQVIT,
    absent_ids,
    method,
    recipe,
    write_blobs,
)  # fmt: skip

MODELS.import_from_location()
REGISTERED = {
    name for name, cls in MODELS.module_dict.items()
    if isinstance(cls, type) and issubclass(cls, Method) and cls.__module__.startswith('pretrain.')
    and name != 'VQKDTokenizer'  # what is left of VQKD when it is trained
}  # fmt: skip


def test_every_registered_method_is_tried_here() -> None:
    assert set(METHODS) == REGISTERED


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_blobs(tmp_path_factory.mktemp('images'))


@pytest.fixture(scope='module')
def trained(tmp_path_factory, images):
    """Folder of two epochs of each method, trained when first asked for."""
    done = {}

    def train(name: str):
        if name not in done:
            folder = tmp_path_factory.mktemp(name) / 'run'
            torch.manual_seed(0)
            build_runner(recipe(METHODS[name], images, folder)).train()
            done[name] = folder
        return done[name]

    return train


def answer(model, image, mask) -> list[torch.Tensor]:
    with torch.no_grad():
        said = model.predict(image, mask) if isinstance(model, MaskedImageModel) else model(image)
    return list(said.values()) if isinstance(said, dict) else [said]


@pytest.mark.parametrize('name', METHODS)
def test_two_epochs_train_and_save_nothing_frozen(name: str, trained) -> None:
    torch.manual_seed(0)
    fresh = method(name)
    saved = torch.load(trained(name) / 'epoch_2.pth', weights_only=False)
    assert saved['meta']['iter'] == 4
    assert saved['state_dict'].keys() == fresh.state_dict().keys()
    beside = [key for key in saved['state_dict'] if key.startswith('target.')]
    assert set(beside) <= {'target.fingerprint'}
    assert not any(key.startswith('target') for key, _ in fresh.named_parameters())
    first = torch.load(trained(name) / 'epoch_1.pth', weights_only=False)['state_dict']
    moved = [k for k, v in first.items() if not torch.equal(v, saved['state_dict'][k])]
    assert any(key.startswith('backbone.') for key in moved)


@pytest.mark.parametrize('name', METHODS)
def test_killed_and_resumed_is_as_never_stopped(name: str, trained, images, tmp_path) -> None:
    folder = tmp_path / 'again'
    folder.mkdir()
    shutil.copy(trained(name) / 'epoch_1.pth', folder)
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_1.pth'))
    config = recipe(METHODS[name], images, folder)
    config.resume = True
    build_runner(config).train()
    one, two = (
        torch.load(run / 'epoch_2.pth', weights_only=False)['state_dict']
        for run in (trained(name), folder)
    )
    assert one.keys() == two.keys()
    assert all(torch.equal(value, two[key]) for key, value in one.items())


@pytest.mark.parametrize('name', METHODS)
def test_its_checkpoint_is_the_whole_model(name: str, trained) -> None:
    """One route, no file but the checkpoint; what it says is what the trained model says."""
    path = trained(name) / 'epoch_2.pth'
    model, record, missing = load_method(path)
    assert missing == []
    assert record['method'] == name
    assert (record['img_size'], record['steps'], record['custom_imports']) == (32, 4, [])
    own = method(name).eval()
    own.load_state_dict(torch.load(path, weights_only=False)['state_dict'])
    image, mask = torch.rand(2, 3, 32, 32), torch.rand(2, 4, 4) < 0.5
    for found, expected in zip(answer(model, image, mask), answer(own, image, mask), strict=True):
        assert torch.equal(found, expected)
    backbone, report = from_checkpoint(path)
    assert report.missing == report.unexpected == []
    state = own.backbone.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in backbone.state_dict().items())


@pytest.mark.parametrize('name', METHODS)
def test_arguments_of_the_backbone_may_be_given(name: str, trained) -> None:
    model, _, missing = load_method(trained(name) / 'epoch_2.pth', backbone={'img_size': 48})
    assert missing == [] and model.img_size == 48


@pytest.mark.parametrize('name', METHODS)
def test_sizes_come_from_the_backbone_alone(name: str, images, tmp_path) -> None:
    """Another img_size is a change of one number, and a second, other one is refused."""
    config = recipe(METHODS[name], images, tmp_path / 'run', epochs=1)
    config.model = {**METHODS[name], 'backbone': {**METHODS[name]['backbone'], 'img_size': 48}}
    runner = build_runner(config)
    runner.train()
    item = runner.train_dataloader.dataset[(0, (0, 0, 0))]
    assert item['image'].shape == (3, 48, 48)
    assert item['mask'].shape == (6, 6) if 'mask' in item else name == 'VQKD'
    config = recipe(METHODS[name], images, tmp_path / 'other', img_size=64)
    with pytest.raises(UserError, match='data set: img_size=64 in the config, but MIMViT has 32;'):
        build_runner(config).train()


@pytest.mark.parametrize('name', [name for name in METHODS if name != 'SimMIM'])
def test_another_frozen_net_is_noticed_on_resuming(name: str, trained, images, tmp_path) -> None:
    """Tokenizer or teacher: one mechanism."""
    changed = {
        'target': FEATURES | {'teacher': FEATURES['teacher'] | {
            'backbone': FEATURES['teacher']['backbone'] | {'norm_eps': 1e-3, 'pos_embed': 'none'}}}
    } if name == 'VQKD' else {
        'target': {'type': 'TokenTarget', 'tokenizer': {'type': 'BrightnessTokenizer'}}
    }  # fmt: skip
    config = recipe({**METHODS[name], **changed}, images, tmp_path / 'run')
    config.resume, config.load_from = True, str(trained(name) / 'epoch_1.pth')
    with pytest.raises(UserError, match=r'trained on the (ids|features) of another net than model'):
        build_runner(config).train()


@pytest.mark.parametrize('backbone', [SWIN, HIERA], ids=['swin', 'hiera'])
def test_other_families(backbone, images, tmp_path) -> None:
    masker = {'type': 'RandomPatchMasker', 'unit_px': 32, 'ratio': 0.5}
    model = {'type': 'SimMIM', 'backbone': backbone}
    build_runner(recipe(model, images, tmp_path / 'run', epochs=1, masker=masker)).train()
    loaded = load_method(tmp_path / 'run' / 'epoch_1.pth')
    assert loaded.missing == [] and loaded.model.img_size == 64


def test_a_model_that_only_predicts_says_so() -> None:
    model = method('BEiT', target=absent_ids())
    image = torch.rand(1, 3, 32, 32)
    with pytest.raises(UserError, match='loaded to predict, without its target'):
        model(image, torch.ones(1, 4, 4, dtype=torch.bool), mode='loss')


def test_vqkd_wants_features() -> None:
    with pytest.raises(ValueError, match='VQKD rebuilds features, PixelTarget gives pixels'):
        build(MODELS, {**METHODS['VQKD'], 'backbone': VQVIT, 'target': {'type': 'PixelTarget'}})
