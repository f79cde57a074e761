"""What is drawn at random depends on seed and step alone, so that a job resumes exactly.

mmengine's checkpoints hold no random state, and a resumed loader starts its workers' anew. Long
jobs therefore seed each sample's augmentation by its place in the training, and each update by its
number: whatever was done before, in which process, the same is drawn.
"""

import random
from collections.abc import Iterator, Sized
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.runner import Runner
from torch.utils.data import Dataset, Sampler

from downstream.registry import DATA_SAMPLERS, DATASETS, HOOKS

UPDATES, SAMPLES = 0, 1  # two streams


class Drawn(int):
    """Index of a sample that knows its place in the training and the seed of the run."""

    seed: int
    place: int


@DATA_SAMPLERS.register_module()
class SeededDraws(Sampler):
    """Endless permutations of the indices, each a function of seed and epoch.

    Args:
        dataset: anything with a length.
        shuffle: False: in order, again and again.
        seed: of the run.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        self.rank, self.processes = get_dist_info()
        self.length = len(dataset)
        self.shuffle = shuffle
        self.seed = seed or 0
        self.begin = 0
        self.dataset = dataset  # mmdet's batch sampler groups by its pictures' sides

    def __iter__(self) -> Iterator[Drawn]:
        place = self.rank + self.begin * self.processes
        epoch, order = -1, np.arange(self.length)
        while True:
            if self.shuffle and place // self.length != epoch:
                epoch = place // self.length
                order = np.random.default_rng((self.seed, epoch)).permutation(self.length)
            drawn = Drawn(order[place % self.length])
            drawn.seed, drawn.place = self.seed, place
            yield drawn
            place += self.processes

    def __len__(self) -> int:
        return self.length

    def skip(self, samples: int) -> None:
        """Start after as many samples of this process (mmengine's loop, when it resumes)."""
        self.begin = samples

    def set_epoch(self, epoch: int) -> None:
        """There are none."""


@DATASETS.register_module()
class DrawnSamples(Dataset):
    """A dataset whose random transforms draw what `SeededDraws` says."""

    def __init__(self, dataset: dict | Dataset) -> None:
        self.dataset = ROOT_DATASETS.build(dataset) if isinstance(dataset, dict) else dataset

    def __getattr__(self, name: str) -> Any:
        """Whatever else a dataset has: metainfo, get_data_info, ..."""
        if name == 'dataset':  # before it is set, in a worker that unpickles
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Drawn) -> Any:
        seed_all(SAMPLES, index.seed, index.place)
        return self.dataset[int(index)]


@HOOKS.register_module()
class SeededUpdates(Hook):
    """Drop path, samplers of regions and the like draw by (seed, process, update)."""

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any) -> None:
        seed_all(UPDATES, runner.seed, get_dist_info()[0], runner.iter)


def seed_all(*entropy: int) -> None:
    """Python's, NumPy's and torch's global generators."""
    state = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)  # noqa: NPY002  transforms of mmcv, mmdet and mmseg draw from it
    torch.manual_seed(state)
