import pickle
import random
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from downstream.evaluation import draws
from downstream.evaluation.draws import DrawnSamples, SeededDraws


class Noise(Dataset):
    """Draws from every global generator."""

    metainfo = {'classes': ('a',)}

    def __len__(self):
        return 5

    def __getitem__(self, index):
        drawn = np.random.rand()  # noqa: NPY002  as mm* transforms draw
        return torch.tensor([index, random.random(), drawn, float(torch.rand(()))])


def batches(workers, count, skip=0, seed=3, shuffle=True):
    dataset = DrawnSamples(Noise())
    sampler = SeededDraws(dataset, shuffle, seed)
    sampler.skip(skip * 2)
    loader = DataLoader(dataset, batch_size=2, sampler=sampler, num_workers=workers)
    return list(islice(iter(loader), count))


@pytest.mark.parametrize('workers', [0, 2])
def test_a_resumed_loader_draws_what_an_uninterrupted_one_does(workers):
    whole = batches(0, 7)
    assert len({batch.sum().item() for batch in whole}) == 7
    assert torch.equal(torch.stack(batches(workers, 7)), torch.stack(whole))
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert torch.equal(torch.stack(batches(workers, 4, skip=3)), torch.stack(whole[3:]))


def test_each_epoch_is_another_permutation_and_each_seed_another_order():
    indices = [int(i) for i in islice(SeededDraws(Noise(), seed=0), 15)]
    epochs = [indices[i : i + 5] for i in (0, 5, 10)]
    assert [sorted(epoch) for epoch in epochs] == [[0, 1, 2, 3, 4]] * 3
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert indices != [int(i) for i in islice(SeededDraws(Noise(), seed=1), 15)]
    assert [int(i) for i in islice(SeededDraws(Noise(), shuffle=False), 7)] == [0, 1, 2, 3, 4, 0, 1]


def test_processes_share_the_draws_of_one(monkeypatch):
    alone = [(int(i), i.place) for i in islice(SeededDraws(Noise(), seed=2), 12)]
    shared = []
    for rank in range(3):
        monkeypatch.setattr(draws, 'get_dist_info', lambda rank=rank: (rank, 3))
        shared += [(int(i), i.place) for i in islice(SeededDraws(Noise(), seed=2), 4)]
    assert sorted(shared, key=lambda pair: pair[1]) == alone


def test_it_stands_in_for_its_dataset():
    dataset = pickle.loads(pickle.dumps(DrawnSamples(Noise())))
    assert dataset.metainfo == {'classes': ('a',)}
    assert len(dataset) == 5
    assert not hasattr(dataset, 'full_init')
