"""An epoch by shard: every picture once, few shards at a time, the same for seed and epoch."""

from types import SimpleNamespace

import numpy as np
import pytest

from downstream.classification.shard_order import ByShard


class Pictures(list):
    """Rows that have a length, as a data set has."""

    @property
    def rows(self) -> list:
        return self


@pytest.fixture
def pictures() -> Pictures:
    names = (f'a/train-{shard:03}.tar/cat/{i}.jpg' for shard in range(7) for i in range(10))
    return Pictures(SimpleNamespace(name=name) for name in names)


def test_every_picture_once_and_two_shards_at_a_time(pictures) -> None:
    order = list(ByShard(pictures, seed=3, together=2))
    assert sorted(order) == list(range(70)) and order != sorted(order)
    for start in range(0, 60, 20):
        assert len({place // 10 for place in order[start : start + 20]}) == 2
    first = np.array(order[:20]) // 10
    assert len(set(first[:10])) == 2  # mixed, not one after the other


def test_seed_and_epoch_decide(pictures) -> None:
    sampler, again = ByShard(pictures, seed=3, together=2), ByShard(pictures, seed=3, together=2)
    first = list(sampler)
    assert list(again) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    again.set_epoch(1)
    assert list(again) == list(sampler) and list(ByShard(pictures, seed=4)) != first
    assert list(ByShard(pictures, shuffle=False)) == list(range(70))


def test_processes_share_the_order(pictures, monkeypatch) -> None:
    import mmengine.dataset.sampler as module

    whole = list(ByShard(pictures, seed=3, together=2))
    parts = []
    for rank in range(3):
        monkeypatch.setattr(module, 'get_dist_info', lambda rank=rank: (rank, 3))
        monkeypatch.setattr(module, 'sync_random_seed', lambda: 3)
        parts.append(list(ByShard(pictures, seed=3, together=2)))
    assert [len(part) for part in parts] == [24, 24, 24]
    assert [parts[n % 3][n // 3] for n in range(72)] == whole + whole[:2]
