"""Classifiers of few labels on frozen features: k-NN, ridge and logistic regression."""

import copy

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from scipy.optimize import minimize

from downstream.classification.logistic import LogisticReader, logistic_path
from downstream.classification.nearest import NearestPictures
from downstream.classification.ridge import RidgeReader
from downstream.evaluation.job_config import job_config
from downstream.evaluation.protocols import recipes
from downstream.registry import DATASETS
from mim_backbones.data_spec import load_data_spec
from mim_backbones.probes.nearest import knn_scores

VIT = {'type': 'mim_backbones.MIMViT', 'arch': {'embed_dim': 24, 'depth': 2, 'num_heads': 3},
       'img_size': 32, 'patch_size': 16}  # fmt: skip


@pytest.fixture
def features() -> tuple[torch.Tensor, torch.Tensor]:
    """(90, 2, 24) of three classes, and labels."""
    labels = torch.arange(90) % 3
    centres = torch.randn(3, 2, 24)
    return centres[labels] + 1.5 * torch.randn(90, 2, 24), labels


def test_each_k_and_pooling_is_a_plain_k_nn(features) -> None:
    bank, labels = features
    reader = NearestPictures(neighbours=(1, 5, 200), backbone=VIT, num_classes=4)
    reader.fit(bank, labels)
    queries = torch.randn(7, 2, 24)
    found = reader.scores(queries)
    assert found.shape == (7, 6, 4) and len(reader.names) == 6
    unit = torch.nn.functional.normalize
    for number, pool in enumerate(('cls', 'mean')):
        for place, k in enumerate((1, 5, 200)):
            alone = knn_scores(
                unit(queries[:, number]), unit(bank[:, number], dim=-1), labels, 4, k
            )
            torch.testing.assert_close(found[:, 3 * number + place], alone)
            assert reader.names[3 * number + place] == f'{pool}, k={k}'


def test_ridge_solves_the_normal_equations(features) -> None:
    x, labels = features
    reader = RidgeReader(penalties=(0.01, 3.0), backbone=VIT, num_classes=3)
    reader.fit(x, labels)
    found = reader.scores(x[:5]).numpy()
    for number in range(2):
        z = x[:, number].double().numpy()
        z = (z - z.mean(0)) / z.std(0)
        y = np.eye(3)[labels]
        for place, penalty in enumerate((0.01, 3.0)):
            design = np.hstack([z, np.ones((90, 1))])
            inner = design.T @ design / 90 + np.diag([penalty] * 24 + [0.0])
            expected = design[:5] @ np.linalg.solve(inner, design.T @ y / 90)
            np.testing.assert_allclose(found[:, 2 * number + place], expected, atol=1e-5)


def test_logistic_regression_of_two_points_by_hand() -> None:
    # Logits of (1, -1) differ by 2w: log(1 + exp(-2w)) + penalty w^2, flat where
    # penalty w = 1 / (1 + exp(2w)), at w = 1 for this penalty.
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    ((weight, bias),) = logistic_path(x, torch.tensor([0, 1]), 2, [1 / (1 + np.e**2)])
    torch.testing.assert_close(weight, torch.tensor([[1.0], [-1.0]]).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(bias, torch.zeros(2).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize('pictures', [90, 12])  # more than features, and fewer
def test_logistic_regression_is_at_scipys_minimum(features, pictures) -> None:
    x, labels = (each[:pictures] for each in features)
    penalties = (0.02, 3.0)
    reader = LogisticReader(penalties=penalties, backbone=VIT, num_classes=4)
    reader.fit(x, labels)
    found = reader.scores(features[0][-5:]).log_softmax(2).numpy()
    z = x[:, 1].double().numpy()
    mean, std = z.mean(0), z.std(0)
    z, y = (z - mean) / std, np.eye(4)[labels]
    for place, penalty in enumerate(penalties):

        def objective(flat: np.ndarray, penalty: float = penalty) -> tuple[float, np.ndarray]:
            weight, bias = flat[:96].reshape(4, 24), flat[96:]
            logits = z @ weight.T + bias
            top = logits.max(1, keepdims=True)
            log_p = logits - top - np.log(np.exp(logits - top).sum(1, keepdims=True))
            slope = (np.exp(log_p) - y) / len(y)
            loss = -(y * log_p).sum() / len(y) + penalty / 2 * (weight**2).sum()
            return loss, np.concatenate([(slope.T @ z + penalty * weight).ravel(), slope.sum(0)])

        best = minimize(objective, np.zeros(100), jac=True, options={'gtol': 1e-9})
        weight, bias = best.x[:96].reshape(4, 24), best.x[96:]
        asked = (features[0][-5:, 1].double().numpy() - mean) / std
        logits = torch.from_numpy(asked @ weight.T + bias)[:, :3]  # nothing is of class 3
        expected = logits.log_softmax(1).numpy()
        ours = torch.from_numpy(found[:, 2 + place, :3]).log_softmax(1).numpy()
        np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize('kind', [RidgeReader, LogisticReader])
def test_a_feature_that_never_changes_does_no_harm(features, kind) -> None:
    x, labels = features
    x[:, :, 3] = 7.0
    reader = kind(backbone=VIT, num_classes=3)
    reader.fit(x, labels)
    assert reader.scores(x).isfinite().all()


@pytest.mark.parametrize('reader', [NearestPictures, RidgeReader, LogisticReader])
def test_it_reads_each_picture_once_trains_nothing_and_loads_again(reader) -> None:
    model = reader(backbone=VIT, num_classes=3).train()
    assert not model.backbone.training
    before = copy.deepcopy(model.backbone.state_dict())
    image, label = torch.randn(6, 3, 32, 32), torch.tensor([0, 1, 2, 0, 1, 2])
    for rows in ([0, 1, 2, 3], [4, 5, 0, 1]):  # the sampler fills the last batch up
        name = [f'{i}.png' for i in rows]
        loss = model(image[rows], label[rows], name, mode='loss')['loss_nothing']
        assert loss == 0 and loss.requires_grad
    assert len(model.found) == 6
    model.finish()
    assert all(torch.equal(before[k], v) for k, v in model.backbone.state_dict().items())
    (first, *_) = model(image, label, [str(i) for i in range(6)], label > 5, mode='predict')
    assert first.ranks.shape == (len(model.names),)
    other = reader(backbone=VIT, num_classes=3)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.eval()(image), model.eval()(image))


SMALL = {
    'vit': VIT,
    'swin': {'type': 'mim_backbones.MIMSwin', 'img_size': 32, 'window_size': 2,
             'arch': {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': (1, 1, 2, 2)}},
    'hiera': {'type': 'mim_backbones.MIMHiera', 'img_size': 64,
              'arch': {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': 1}},
}  # fmt: skip
READERS = [
    name
    for name, one in recipes().items()
    if one.protocol.task == 'classification' and name.startswith(('knn', 'ridge', 'logistic'))
]


@pytest.mark.parametrize('name', READERS)
def test_every_recipe_chooses_by_held_out_pictures(name, world, make_job, train_job) -> None:
    recipe = recipes()[name]
    options = {
        f'{split}_dataloader.{key}': value
        for split in ('train', 'test')
        for key, value in (
            ('dataset.view.img_size', 64),
            ('num_workers', 0),
            ('persistent_workers', False),
            ('dataset.held_out', 0.3),
        )
    }
    options |= {'model.backbone.img_size': 64, 'train_dataloader.dataset.per_class': 2}
    job = make_job(
        'classification', None, backbone=SMALL[recipe.protocol.family], protocol=recipe.protocol,
        recipe=str(recipe.path), options=options,
    )  # fmt: skip
    found = train_job(job, load_data_spec(world))
    assert len(found.units) == 8
    rows = found.tables['top-1']
    each = {'knn-vit-dino': 1}.get(name, 4 if name.startswith('knn') else 6)
    assert len(rows) == each * (2 if recipe.protocol.family == 'vit' else 1)  # CLS and mean
    best = max(rows, key=lambda row: rows[row]['held out'])
    assert found.metrics['top1'] == rows[best]['test']
    assert found.notes == (f'classification: of {len(rows)} classifiers counts {best}',)


@pytest.mark.parametrize('seed', [0, 3])
def test_of_every_seed_what_chooses_is_not_labelled(seed, world, make_job) -> None:
    job = make_job(
        'classification', None, seed=seed, protocol=recipes()['knn-vit-in1k'].protocol,
        recipe=str(recipes()['knn-vit-in1k'].path),
        options={'train_dataloader.dataset.held_out': 0.3, 'test_dataloader.dataset.held_out': 0.3},
    )  # fmt: skip
    cfg = job_config(job, load_data_spec(world))
    init_default_scope('downstream')
    labelled, tested = (
        DATASETS.build(cfg[f'{split}_dataloader'].dataset).rows for split in ('train', 'test')
    )
    held = {row.name for row in tested if row.held}
    assert held and not held & {row.name for row in labelled}
