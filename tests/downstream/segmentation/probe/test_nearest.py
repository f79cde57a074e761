"""k-NN segmentation against the same rule written out in NumPy."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from downstream.segmentation.probe import nearest as module
from downstream.segmentation.probe.nearest import NearestPatches, class_shares, draw
from mim_backbones.errors import UserError
from mim_backbones.probes import nearest as neighbours

CLASSES, IGNORED = 4, 255


def views(count: int, seed: int = 0) -> tuple[tuple[torch.Tensor, torch.Tensor], list]:
    """Two maps, 4 x 6 and 2 x 3, of so many views, and their labels of 16 x 24 pixels."""
    rng = torch.Generator().manual_seed(seed)
    maps = (torch.randn(count, 5, 4, 6, generator=rng), torch.randn(count, 7, 2, 3, generator=rng))
    samples = []
    for i in range(count):
        label = torch.randint(0, CLASSES + 1, (1, 16, 24), generator=rng)
        label[label == CLASSES] = IGNORED
        label[:, :4, :8] = IGNORED  # two patches without a label
        sample = SegDataSample(metainfo={'view': (0, seed, i)}, gt_sem_seg=PixelData(data=label))
        samples.append(sample)
    return maps, samples


def filled(**options: int) -> NearestPatches:
    head = NearestPatches([5, 7], CLASSES, **{'neighbours': 9, 'temperature': 0.1, **options})
    maps, samples = views(6)
    for first in (0, 3):
        batch = tuple(each[first : first + 3] for each in maps)
        assert head.loss(batch, samples[first : first + 3], {})['loss_nothing'] == 0
    head.fill()
    return head


def by_hand(maps: tuple, samples: list, query: tuple) -> np.ndarray:
    """The rule of the module's docstring, patch by patch; features rounded to bf16 as kept."""

    def unit(maps: tuple) -> np.ndarray:
        small = torch.nn.functional.interpolate(maps[1], (4, 6), mode='bilinear')
        rows = []
        for a, b in zip(maps[0].numpy(), small.numpy()):
            for y in range(4):
                for x in range(6):
                    parts = [v / np.linalg.norm(v) for v in (a[:, y, x], b[:, y, x])]
                    rows.append(np.concatenate(parts) / np.sqrt(2))
        return torch.tensor(np.array(rows)).bfloat16().float().numpy()

    bank, shares = unit(maps), []
    for sample in samples:
        label = sample.gt_sem_seg.data[0].numpy()
        for y in range(4):
            for x in range(6):
                cell = label[4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
                cell = cell[cell != IGNORED]
                known = len(cell) > 0
                shares.append(np.bincount(cell, minlength=CLASSES) / len(cell) if known else None)
    kept = [i for i, each in enumerate(shares) if each is not None]
    bank, shares = bank[kept], np.array([shares[i] for i in kept])
    scores = []
    for row in unit(query):
        similar = bank @ row
        near = np.argsort(-similar)[:9]
        weights = np.exp(similar[near] / 0.1)
        scores.append(weights @ shares[near] / weights.sum())
    return np.array(scores).reshape(-1, 4, 6, CLASSES).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(('chunk', 'queries'), [(7, 5), (2**16, 2048)])
def test_equals_the_rule_in_numpy(chunk: int, queries: int, monkeypatch) -> None:
    monkeypatch.setattr(neighbours, 'CHUNK', chunk)
    monkeypatch.setattr(module, 'QUERIES', queries)
    head, (maps, samples), (query, _) = filled(), views(6), views(2, seed=1)
    found = head(query).numpy()
    assert np.abs(found - by_hand(maps, samples, query)).max() < 2e-3  # shares are float16
    assert np.allclose(found.sum(1), 1, atol=1e-3)


def test_shares_by_hand() -> None:
    label = torch.tensor([[0, 0, 1, 255], [0, 2, 255, 255]])
    shares, labelled = class_shares(label, (1, 2), 3, 255)
    assert shares.tolist() == [[0.75, 0.0, 0.25], [0.0, 1.0, 0.0]]
    assert labelled.tolist() == [True, True]
    shares, labelled = class_shares(label, (2, 4), 3, 255)
    assert labelled.tolist() == [True, True, True, False, True, True, False, False]
    assert shares[3].tolist() == [0, 0, 0]


def test_the_bank_is_bounded_and_drawn_by_the_view() -> None:
    head = NearestPatches([5, 7], CLASSES, bank_size=60)
    head.patches_per_view = 10
    maps, samples = views(8)
    head.loss(maps, samples, {})
    head.fill()
    assert head.features.shape == (60, 12) and head.classes.shape == (60, CLASSES)
    rows = torch.arange(100)
    assert torch.equal(draw(rows, 10, 1, 2), draw(rows, 10, 1, 2))
    assert not torch.equal(draw(rows, 10, 1, 2), draw(rows, 10, 1, 3))
    assert len(set(draw(rows, 10, 1).tolist())) == 10
    assert torch.equal(draw(rows, 200, 1), rows)


def test_a_bank_is_saved_and_comes_back() -> None:
    head, (query, _) = filled(), views(1, seed=3)
    other = NearestPatches([5, 7], CLASSES, neighbours=9, temperature=0.1)
    other.load_state_dict(head.state_dict())
    assert torch.equal(head(query), other(query))


def test_no_labelled_pixel_is_refused() -> None:
    with pytest.raises(UserError, match='no training view has a labelled pixel'):
        NearestPatches([5, 7], CLASSES).fill()
