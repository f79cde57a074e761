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
    HIERA_TEACHER,
    IDS,
    METHODS,
    RELATIONS,
    SWIN,
    SWIN_TEACHER,
    TEACHER,
    UNMASKED,
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
    # What follows the student is as much of a run as the student.
    if fresh.target.state in ('ema', 'stage'):
        assert len(beside) > 1
    else:
        assert set(beside) <= {'target.fingerprint'}
    learnt = {k for k, p in fresh.named_parameters() if p.requires_grad}
    assert not any(key.startswith('target') for key in learnt)
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
    own = method(name).eval()
    side, cells = own.img_size, own.img_size // own.backbone.mask_size
    assert (record['img_size'], record['steps'], record['custom_imports']) == (side, 4, [])
    own.load_state_dict(torch.load(path, weights_only=False)['state_dict'])
    image = torch.rand(2, 3, side, side)
    mask = (torch.rand(2, cells**2).argsort(1) < cells**2 // 2).view(2, cells, cells)
    for found, expected in zip(answer(model, image, mask), answer(own, image, mask), strict=True):
        assert torch.equal(found, expected)
    backbone, report = from_checkpoint(path)
    assert report.missing == report.unexpected == []
    state = own.backbone.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in backbone.state_dict().items())


@pytest.mark.parametrize('name', METHODS)
def test_arguments_of_the_backbone_may_be_given(name: str, trained) -> None:
    side = method(name).img_size * 3 // 2
    model, _, missing = load_method(trained(name) / 'epoch_2.pth', backbone={'img_size': side})
    assert missing == [] and model.img_size == side


@pytest.mark.parametrize('name', METHODS)
def test_sizes_come_from_the_backbone_alone(name: str, images, tmp_path) -> None:
    """Another img_size is a change of one number, and a second, other one is refused."""
    config = recipe(METHODS[name], images, tmp_path / 'run', epochs=1)
    small = method(name)
    side, cells = small.img_size * 3 // 2, small.img_size * 3 // 2 // small.backbone.mask_size
    config.model = {**METHODS[name], 'backbone': {**METHODS[name]['backbone'], 'img_size': side}}
    runner = build_runner(config)
    runner.train()
    item = runner.train_dataloader.dataset[(0, (0, 0, 0))]
    assert item['image'].shape == (3, side, side)
    assert item['mask'].shape == (cells, cells) if 'mask' in item else name in UNMASKED
    config = recipe(METHODS[name], images, tmp_path / 'other', img_size=96)
    refusal = rf'data set: img_size=96 in the config, but MIM\w+ has {small.img_size};'
    with pytest.raises(UserError, match=refusal):
        build_runner(config).train()


FROZEN = [
    name for name, config in METHODS.items()
    if 'teacher' in config or config.get('target') in (IDS, FEATURES, RELATIONS)
]  # fmt: skip


def narrow(teacher: dict) -> dict:
    return {**teacher, 'backbone': {**teacher['backbone'], 'mlp_ratio': 2.0}}


@pytest.mark.parametrize('name', FROZEN)
def test_another_frozen_net_is_noticed_on_resuming(name: str, trained, images, tmp_path) -> None:
    """Tokenizer or teacher: one mechanism."""
    other = TEACHER | {'backbone': TEACHER['backbone'] | {'pos_embed': 'none'}}
    changed = {
        'VQKD': {'target': FEATURES | {'teacher': other}},
        'DMAE': {'teacher': other},
        'DHieraMAE': {'teacher': narrow(HIERA_TEACHER)},
        'DSimMIM': {'teacher': narrow(SWIN_TEACHER)},
        'TinyMIM': {'target': RELATIONS | {'teacher': other}},
    }.get(name, {'target': {'type': 'TokenTarget', 'tokenizer': {'type': 'BrightnessTokenizer'}}})
    config = recipe({**METHODS[name], **changed}, images, tmp_path / 'run')
    config.resume, config.load_from = True, str(trained(name) / 'epoch_1.pth')
    with pytest.raises(
        UserError, match=r'trained on the (ids|features|relations) of another net than model'
    ):
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
