"""The order of an epoch for archives on slow disks: few shards at a time, each read front to back.

    shards in a random order -> groups of `together` -> pictures of a group in a random order

What is drawn depends on seed and epoch alone, as in mmengine's sampler, so that a resumed epoch is
the same. Pictures of one shard are then met in one stretch of the epoch: shards must have been
filled at random.
"""

import re
from collections.abc import Iterator

import numpy as np
from mmengine.dataset import DefaultSampler
from torch.utils.data import Dataset

from downstream.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ByShard(DefaultSampler):
    """For a `LabelledPictures` of archives; each process takes every n-th of the order.

    Args:
        together: shards that are read at the same time.
    """

    def __init__(
        self,
        dataset: Dataset,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
        together: int = 16,
    ) -> None:
        super().__init__(dataset, shuffle, seed, round_up)
        self.together = together
        names = [row.name for row in dataset.rows]  # type: ignore[attr-defined]
        shards = [re.split(r'\.(?:tar|zip)/', name, maxsplit=1)[0] for name in names]
        self.shards = np.unique(shards, return_inverse=True)[1]

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = np.arange(len(self.shards))
        if self.shuffle:
            groups = rng.permutation(self.shards.max() + 1) // self.together
            order = rng.permutation(order)
            order = order[np.argsort(groups[self.shards[order]], kind='stable')]
        whole = np.resize(order, self.total_size) if self.round_up else order
        return iter(whole[self.rank : self.total_size : self.world_size].tolist())
