"""Features on file: made once, the same for every epoch and student, refused where they mislead."""

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mim_backbones.errors import UserError
from mim_backbones.training.launch import build_runner
from pretrain.images.dataset import UnlabelledImages
from pretrain.images.decode import load_image
from pretrain.images.feature_cache import BATCH
from pretrain.registry import MODELS as PRETRAIN_MODELS
from pretrain.registry import build
from pretrain.teachers.backbone import BackboneTeacher
from pretrain.teachers.base import Features, packed, unpacked
from tests.pretrain.small import FEATURES, METHODS, TEACHER, VIT, recipe, write_blobs

COUNT = BATCH + 3  # a whole batch and a part of one


@pytest.fixture(scope='module')
def images(tmp_path_factory) -> Path:
    return write_blobs(tmp_path_factory.mktemp('data') / 'images', COUNT)


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """How many images the teacher was shown, call by call."""
    counts, real = [], BackboneTeacher.features
    monkeypatch.setattr(
        BackboneTeacher, 'features',
        lambda self, image: counts.append(len(image)) or real(self, image),
    )  # fmt: skip
    return counts


def target(folder: Path | None, **changes) -> dict:
    return {**FEATURES, 'cache': folder and str(folder), **changes}


def simmim(folder: Path | None, **changes) -> dict:
    return {'type': 'SimMIM', 'backbone': VIT, 'target': target(folder, **changes)}


def train(model: dict, images: Path, run: Path, epochs: int = 2, **dataset) -> dict:
    """The last checkpoint's weights."""
    build_runner(recipe(model, images, run, epochs, **{'crop': 'centre', **dataset})).train()
    return torch.load(run / f'epoch_{epochs}.pth', weights_only=False)['state_dict']


def bound(model: dict, images: Path, **dataset) -> tuple:
    built, data = build(PRETRAIN_MODELS, model), UnlabelledImages(str(images), **dataset)
    built.bind(data)
    return built, data


@pytest.mark.parametrize('blocks', [(0,), (0, 1)])
def test_what_is_on_file_is_what_the_teacher_says_of_the_crop(images, tmp_path, blocks) -> None:
    deep = TEACHER['backbone'] | {'arch': {**TEACHER['backbone']['arch'], 'depth': 2}}
    teacher = TEACHER | {'backbone': deep, 'blocks': blocks}
    model, data = bound(simmim(tmp_path, teacher=teacher, precision='fp32'), images, crop='centre')
    rows = len(blocks) * (1 + 16)
    for index in (0, BATCH, COUNT - 1):
        item, path = data[(index, (0, 0, 0))], data.files[index]
        view = load_image(path, 32)
        assert torch.equal(item['image'], view)
        assert item['target_features'].shape == (rows, 32)
        assert item['target_features'].dtype == torch.bfloat16
        found = model.target.frozen.net(view[None].float() / 255)
        expected = packed(found)[0]
        torch.testing.assert_close(
            item['target_features'].float(), expected.float(), atol=1e-6, rtol=2**-8
        )
        again = unpacked(packed(found), len(blocks), True)
        assert torch.equal(again.patches, found.patches) and torch.equal(again.whole, found.whole)
    (file,) = tmp_path.glob('*.safetensors')
    with safe_open(file, 'pt') as stream:  # any reader of the format reads it
        assert stream.get_slice('features').get_shape() == [COUNT, rows, 32]
        assert torch.equal(stream.get_tensor('features')[COUNT - 1], item['target_features'])
        assert stream.get_tensor('readable').all()


def test_features_without_a_whole_are_packed_too() -> None:
    found = Features(torch.rand(3, 2, 5, 4))
    again = unpacked(packed(found), 3, False)
    assert torch.equal(again.patches, found.patches) and again.whole is None


@pytest.mark.parametrize('name', ['SimMIM', 'VQKD'])
def test_training_from_the_file_is_training_beside_the_teacher(
    name: str, images, asked, tmp_path
) -> None:
    """The teacher is asked once per image; weights differ by what bf16 rounds off."""
    config = simmim(None) if name == 'SimMIM' else METHODS[name]
    kept = {**config, 'target': target(tmp_path / 'cache', precision='fp32')}
    torch.manual_seed(0)
    plain = train(config, images, tmp_path / 'plain')
    assert sum(asked) == 2 * COUNT
    asked.clear()
    torch.manual_seed(0)
    found = train(kept, images, tmp_path / 'kept')
    assert sum(asked) == COUNT
    before = torch.load(tmp_path / 'plain/epoch_1.pth', weights_only=False)['state_dict']
    learnt = [key for key in plain if key.startswith('backbone.blocks')]
    moved = sum((plain[key] - before[key]).square().sum() for key in learnt).sqrt()
    apart = sum((plain[key] - found[key]).square().sum() for key in learnt).sqrt()
    assert 0 < apart < 0.1 * moved
    asked.clear()
    other = tmp_path / 'resumed'
    other.mkdir()
    shutil.copy(tmp_path / 'kept/epoch_1.pth', other)
    again = recipe(kept, images, other, crop='centre')
    again.resume, again.load_from = True, str(other / 'epoch_1.pth')
    build_runner(again).train()
    resumed = torch.load(other / 'epoch_2.pth', weights_only=False)['state_dict']
    assert all(torch.equal(value, resumed[key]) for key, value in found.items())
    assert asked == []


def test_another_student_reads_the_same_file(images, asked, tmp_path) -> None:
    bound(simmim(tmp_path), images, crop='centre')
    assert sum(asked) == COUNT
    model, data = bound(
        simmim(tmp_path, norm='layer', aligner='interpolate'), images, crop='centre'
    )
    assert sum(asked) == COUNT and len([*tmp_path.glob('*.safetensors')]) == 1
    rows = torch.stack([data[(i, (0, 0, 0))]['target_features'] for i in range(2)])
    wanted = model.target.stored(rows)
    assert wanted.values.shape == (2, 32, 4, 4) and wanted.whole.shape == (2, 32)
    assert wanted.values.dtype == torch.float32
    torch.testing.assert_close(wanted.values.mean(1), torch.zeros(2, 4, 4), atol=1e-5, rtol=0)


@pytest.mark.parametrize('change', [
    {'teacher': TEACHER | {'final_norm': False}}, {'teacher': TEACHER | {'mean': (0, 0, 0)}},
    {'precision': 'fp32'}, {'interpolation': 'lanczos'}, 'images', 'size of a file',
])  # fmt: skip
def test_another_teacher_view_or_data_has_a_file_of_its_own(change, images, tmp_path) -> None:
    bound(simmim(tmp_path / 'cache'), images, crop='centre')
    if isinstance(change, dict):
        bound(simmim(tmp_path / 'cache', **change), images, crop='centre')
    else:
        shutil.copytree(images, tmp_path / 'images')
        first = sorted((tmp_path / 'images').iterdir())[0]
        if change == 'images':
            first.rename(tmp_path / 'images' / 'renamed.png')
        else:
            first.write_bytes(first.read_bytes() + b'\0')
        bound(simmim(tmp_path / 'cache'), tmp_path / 'images', crop='centre')
    assert len([*(tmp_path / 'cache').glob('*.safetensors')]) == 2


def test_a_copy_of_the_images_elsewhere_has_the_same_file(images, asked, tmp_path) -> None:
    bound(simmim(tmp_path / 'cache'), images, crop='centre')
    shutil.copytree(images, tmp_path / 'images')
    bound(simmim(tmp_path / 'cache'), tmp_path / 'images', crop='centre')
    assert sum(asked) == COUNT


def test_two_at_once_make_it_once(images, asked, tmp_path) -> None:
    # Built one after the other: a start at random draws from the process's one generator.
    models = [build(PRETRAIN_MODELS, simmim(tmp_path)) for _ in range(2)]
    data = [UnlabelledImages(str(images), crop='centre') for _ in models]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda model, each: model.bind(each), models, data))
    assert sum(asked) == COUNT
    one, two = (each[(0, (0, 0, 0))]['target_features'] for each in data)
    assert torch.equal(one, two)


def test_a_worker_opens_the_file_for_itself(images, tmp_path) -> None:
    _, data = bound(simmim(tmp_path), images, crop='centre')
    data[(0, (0, 0, 0))]
    assert data.features.maps is not None
    sent = pickle.dumps(data.features)
    assert len(sent) < 100 * COUNT  # paths, no features
    path = data.files[1]
    assert torch.equal(pickle.loads(sent)[path], data.features[path])


def test_a_fixed_crop_is_the_same_whatever_the_draw(images) -> None:
    data = UnlabelledImages(str(images), scale=(0.2, 0.3), jitter=0.5, crop='centre', img_size=32)
    build(PRETRAIN_MODELS, simmim(None)).bind(data)
    one, two = (data[(0, (0, 0, k))]['image'] for k in range(2))
    assert torch.equal(one, two) and torch.equal(one, load_image(data.files[0], 32))
    with pytest.raises(ValueError, match="crop='corner'; known: random, centre"):
        UnlabelledImages(str(images), crop='corner')


def test_unreadable_images_are_skipped_and_named(images, asked, tmp_path) -> None:
    shutil.copytree(images, tmp_path / 'images')
    bad = sorted((tmp_path / 'images').iterdir())[1]
    bad.write_bytes(b'not a picture')
    (tmp_path / 'images' / 'zzz.png').symlink_to('nowhere')
    _, data = bound(simmim(tmp_path / 'cache'), tmp_path / 'images', crop='centre')
    assert sum(asked) == COUNT - 1
    item, other = data[(1, (0, 0, 0))], data[(2, (0, 0, 0))]
    assert item['skipped'] == str(bad)
    assert torch.equal(item['target_features'], other['target_features'])
    (tmp_path / 'images' / 'zzz.png').unlink()
    for file in (tmp_path / 'images').iterdir():
        file.write_bytes(b'')
    with pytest.raises(UserError, match=f'none of the {COUNT} images can be decoded'):
        bound(simmim(tmp_path / 'cache'), tmp_path / 'images', crop='centre')
    assert len([*(tmp_path / 'cache').glob('*.safetensors')]) == 1


def test_mistakes_are_one_line_each(images, tmp_path, asked, monkeypatch) -> None:
    def refused(match: str, folder: Path, crop: str = 'centre', **changes) -> None:
        with pytest.raises(UserError, match=match) as error:
            bound(simmim(folder, **changes), images, crop=crop)
        assert '\n' not in str(error.value)

    cache = tmp_path / 'cache'
    refused(r'crops are random, .* set train_dataloader\.dataset\.crop=centre', cache, 'random')
    # By hand: 35 images x (2 bytes x 17 rows x 32 channels + 1) = 38,115 bytes.
    refused(
        rf'features of {COUNT} images need 3\.55e-05 GiB beside the 0 GiB in .*'
        r'cache_gib is 1e-05; raise it', cache, cache_gib=1e-5,
    )  # fmt: skip
    assert asked == [] and not [*cache.glob('*.safetensors')]
    bound(simmim(cache), images, crop='centre')
    (file,) = cache.glob('*.safetensors')
    refused('beside the 3.5', cache, cache_gib=5e-5, precision='fp32')  # both do not fit
    bound(simmim(cache, cache_gib=1e-5), images, crop='centre')  # what is there is read
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    refused('are damaged; delete that file', cache)
    file.write_bytes(b'x' + whole[1:])
    refused('are damaged; delete that file', cache)
    (tmp_path / 'file').write_text('')
    refused('cannot write features to .*; give another model.target.cache', tmp_path / 'file')
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
    refused('more than the disk of .* has left', tmp_path / 'full')
