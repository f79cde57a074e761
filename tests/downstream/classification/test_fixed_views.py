"""Probes on kept features: the same views, the same weights, and each picture looked at once."""

from functools import partial

import pytest
import torch

from downstream.classification.fixed_views import FixedPictures, read_all
from downstream.classification.probe import LinearGrid
from downstream.evaluation.job_config import job_config
from downstream.evaluation.protocols import recipes
from downstream.frozen.cache import FeatureCache
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError
from mim_backbones.training.launch import build_runner
from tests.downstream.classification.test_reader import VIT

VIEW = {'type': 'TrainView', 'img_size': 32}


@pytest.fixture
def model() -> LinearGrid:
    torch.manual_seed(0)
    return LinearGrid(backbone=VIT, num_classes=2, rates=(1.0,)).train()


@pytest.fixture
def read(model, tmp_path):
    """views -> (features, labels), kept below one folder."""
    cache = FeatureCache('d1', 2**20, tmp_path / 'features')
    return partial(read_all, model, cache=cache, dtype=torch.float32, workers=0)


def test_a_view_is_the_same_whenever_it_is_made(folders) -> None:
    root = str(folders(train={'cat': 3, 'dog': 3}, val={'cat': 1}))
    some = FixedPictures(root=root, view=VIEW, views=3, seed=5)
    assert len(some) == 18 and some[7]['name'] == 'train/cat/1.JPEG'
    before = torch.rand(1)
    torch.manual_seed(1)
    expected = [some[i]['inputs'] for i in range(18)]
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1)) and not torch.equal(before, after)
    other = FixedPictures(root=root, view=VIEW, views=3, seed=5)
    assert all(torch.equal(other[i]['inputs'], expected[i]) for i in reversed(range(18)))
    assert not torch.equal(expected[1], expected[7])
    seeded = FixedPictures(root=root, view=VIEW, views=3, seed=6)
    assert not torch.equal(seeded[1]['inputs'], expected[1])


def test_what_is_kept_is_not_computed_again(folders, model, read, monkeypatch) -> None:
    root = folders(train={'cat': 2, 'dog': 2}, val={'cat': 1})
    views = FixedPictures(root=str(root), view=VIEW, views=2)
    features, labels = read(views)
    assert features.shape == (8, model.width) and labels == [0, 0, 1, 1] * 2
    assert model.training
    alone = model.pooled(model.data_preprocessor({'inputs': views[3]['inputs'][None]})['inputs'])
    assert torch.equal(features[3], alone[0])
    seen = []
    whole = model.pooled
    monkeypatch.setattr(model, 'pooled', lambda inputs: seen.append(1) or whole(inputs))
    again, _ = read(views)
    assert not seen and torch.equal(again, features)
    (root / 'train/dog/0.JPEG').write_bytes((root / 'train/dog/1.JPEG').read_bytes())
    changed, _ = read(views)  # the file has another time of change
    assert len(seen) == 2 and not torch.equal(changed[2], features[2])
    views.read_from(changed, labels)
    assert torch.equal(views[2]['inputs'], changed[2]) and views[2]['label'] == 1


def test_what_stands_in_for_a_broken_picture_is_not_kept_in_its_name(folders, read) -> None:
    root = folders(train={'cat': 1, 'dog': 2}, val={'cat': 1})
    whole = (root / 'train/cat/0.JPEG').read_bytes()
    (root / 'train/cat/0.JPEG').write_bytes(whole[:300])
    views = FixedPictures(root=str(root), view=VIEW)
    _, labels = read(views)
    assert labels == [1, 1, 1]  # a dog in place of the cat
    assert [read.keywords['cache'].get(views.key(i)) is None for i in range(3)] == [
        True, False, False,
    ]  # fmt: skip


def runner_of(make_job, world, out, **options):
    recipe = recipes()['linear-vit-smoke']
    options = {
        'train_cfg.max_epochs': 2,
        'train_dataloader.dataset.views': 2,
        'train_dataloader.batch_size': 8,
        'auto_scale_lr.base_batch_size': 8,
        'optim_wrapper.precision': 'fp32',
        'model.rates': (1.0, 10.0),
        **options,
    }
    job = make_job(
        'classification', None, backbone={**VIT, 'img_size': 64}, protocol=recipe.protocol,
        recipe=str(recipe.path), options=options, out=str(out),
    )  # fmt: skip
    runner = build_runner(job_config(job, load_data_spec(world)))
    runner.train()
    return runner


def test_kept_features_train_what_the_same_views_do(make_job, world, tmp_path, monkeypatch) -> None:
    kept = runner_of(make_job, world, tmp_path / 'kept')
    looked = []
    whole = LinearGrid.pooled
    monkeypatch.setattr(
        LinearGrid, 'pooled', lambda self, x: looked.append(len(x)) or whole(self, x)
    )
    streamed = runner_of(make_job, world, tmp_path / 'streamed', custom_hooks=[])
    pictures = len(kept.train_dataloader.dataset.pictures)
    assert sum(looked) == 2 * (2 * pictures // 8) * 8  # views x epochs, in whole batches
    assert kept.model.heads[-1][-1].weight.abs().max() > 0.1  # the start has a deviation of 0.01
    for ours, theirs in zip(kept.model.heads.parameters(), streamed.model.heads.parameters()):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_too_little_memory_is_said(make_job, world, tmp_path) -> None:
    hook = [{'type': 'downstream.ReadFeatures', 'memory_bytes': 2**10}]
    with pytest.raises(UserError, match=r'GiB of memory, more than 9\.54e-07; take fewer views'):
        runner_of(make_job, world, tmp_path, custom_hooks=hook)
