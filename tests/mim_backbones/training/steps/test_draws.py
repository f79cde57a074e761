import pickle
import random
from itertools import islice

import numpy as np
import pytest
import torch
from mmengine.dataset import InfiniteSampler
from torch.utils.data import DataLoader, Dataset

from mim_backbones.training.steps import draws
from mim_backbones.training.steps.draws import PlacedOrder, PlacedSamples, place_draws
from mim_backbones.training.steps.loops import endless


class Noise(Dataset):
    """Draws from every global generator."""

    metainfo = {'classes': ('a',)}

    def __len__(self):
        return 5

    def __getitem__(self, index):
        drawn = np.random.rand()  # noqa: NPY002  as mm* transforms draw
        return torch.tensor([index, random.random(), drawn, float(torch.rand(()))])


def batches(workers, count, skip=0, shuffle=True):
    dataset = Noise()
    sampler = InfiniteSampler(dataset, shuffle, 3)
    loader = DataLoader(dataset, batch_size=2, sampler=sampler, num_workers=workers)
    assert place_draws(loader, 3)
    return list(islice(endless(loader, 1, skip, 3), count))


@pytest.mark.parametrize('workers', [0, 2])
def test_a_resumed_loader_draws_what_an_uninterrupted_one_does(workers):
    whole = batches(0, 7)
    assert len({batch.sum().item() for batch in whole}) == 7
    assert torch.equal(torch.stack(batches(workers, 7)), torch.stack(whole))
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert torch.equal(torch.stack(batches(workers, 4, skip=3)), torch.stack(whole[3:]))


def test_processes_share_the_places_of_one(monkeypatch):
    def order(rank, processes, count):
        monkeypatch.setattr(draws, 'get_dist_info', lambda: (rank, processes))
        mine = [7, 8, 9] * 4
        return [(int(i), i.entropy) for i in islice(PlacedOrder(mine[rank::processes], 2), count)]

    alone = order(0, 1, 12)
    shared = [one for rank in range(3) for one in order(rank, 3, 4)]
    assert sorted(shared, key=lambda pair: pair[1]) == alone


def test_it_stands_in_for_its_dataset():
    dataset = pickle.loads(pickle.dumps(PlacedSamples(Noise())))
    assert dataset.metainfo == {'classes': ('a',)}
    assert len(dataset) == 5
    assert not hasattr(dataset, 'full_init')
    dataset.pipeline = 'another'  # as mmdet's hook for the last epochs sets it
    assert dataset.inner.pipeline == 'another'


def test_a_sampler_that_seeds_its_samples_keeps_to_it():
    sampler = InfiniteSampler(Noise(), seed=0)
    sampler.seeds_draws = True
    loader = DataLoader(Noise(), batch_size=2, sampler=sampler)
    assert not place_draws(loader, 3)
    assert loader.sampler is sampler
