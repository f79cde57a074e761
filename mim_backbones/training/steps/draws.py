"""What is drawn at random depends on seed and step alone, so that a run resumes exactly.

mmengine's checkpoints hold no random state, and a resumed loader starts its workers' anew. Here
each sample's augmentation is seeded by its place in the training, and each step by its number:
whatever was done before, in which process or worker, the same is drawn.
"""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Sampler

from mim_backbones.training.steps.stand_in import StandIn

UPDATES, SAMPLES = 0, 1  # two streams


class Drawn(int):
    """Index of a sample that knows its place in the training and the seed of the run."""

    entropy: tuple[int, ...]


class PlacedOrder(StandIn):
    """A sampler whose indices know their place: (seed of the run, epoch, number in it).

    Args:
        sampler: of one process; an endless one has a single epoch.
        seed: of the run.
    """

    own = ('inner', 'seed', 'epoch', 'begin', 'rank', 'processes')

    def __init__(self, sampler: Sampler, seed: int) -> None:
        super().__init__(sampler)
        self.seed = seed
        self.epoch = self.begin = 0
        self.rank, self.processes = get_dist_info()

    def __iter__(self) -> Iterator[Any]:
        begin, self.begin = self.begin, 0
        for number, index in enumerate(self.inner, begin):
            if isinstance(index, int):
                index = Drawn(index)
                index.entropy = (self.seed, self.epoch, self.rank + number * self.processes)
            yield index

    def resume(self, seed: int, epoch: int) -> None:
        """The seed that a resumed run found in its checkpoint, which orders the samples too."""
        if getattr(self.inner, 'seed', None) == self.seed:
            self.inner.seed = seed
        self.seed, self.epoch = seed, epoch


class PlacedSamples(StandIn):
    """A data set whose random transforms draw by the place of the sample."""

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, Drawn):
            seed_all(SAMPLES, *index.entropy)
            index = int(index)
        return self.inner[index]


class SeededSteps(Hook):
    """Drop path, samplers of regions and the like draw by (seed, process, step)."""

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        seed_step(runner)


def seed_step(runner: Runner) -> None:
    """All that is drawn until the next step is the same whenever this one is made."""
    seed_all(UPDATES, runner.seed, get_dist_info()[0], runner.iter)


def place_draws(loader: DataLoader, seed: int) -> bool:
    """Have the samples of a loader, not used yet, draw by place; whether they do.

    One whose sampler says so (`seeds_draws`) seeds its samples by itself, and one without a sampler
    of indices has no places.
    """
    batches = loader.batch_sampler
    sampler = getattr(batches, 'sampler', None)
    if sampler is None or not hasattr(loader.dataset, '__getitem__'):
        return False
    if getattr(sampler, 'seeds_draws', False):
        return False
    placed = PlacedOrder(sampler, seed)
    batches.sampler = placed  # type: ignore[union-attr]
    # A loader guards its parts against assignment, since workers may have theirs already.
    if loader.sampler is sampler:
        vars(loader)['sampler'] = placed
    vars(loader)['dataset'] = PlacedSamples(loader.dataset)
    return True


def seed_all(*entropy: int) -> None:
    """Python's, NumPy's and torch's global generators."""
    state = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)  # noqa: NPY002  transforms of mmcv, mmdet and mmseg draw from it
    torch.manual_seed(state)
