"""Which image with which seed: a pure function of (seed, epoch, position)."""

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from pretrain.registry import DATA_SAMPLERS

Sample = tuple[int, tuple[int, int, int]]  # image index, entropy of its random generator


@DATA_SAMPLERS.register_module()
class SeededSampler(Sampler):
    """Yields (index, entropy): what a worker draws depends on neither process nor history.

    A resumed run, or one with another number of workers, sees the same crops and masks.

    Args:
        dataset: anything with a length.
        shuffle: a new permutation each epoch.
        seed: of the run.
        samples_per_epoch: length of an epoch over all processes; None for one pass over the
            images. A fixed length gives data sets of any size the same number of steps.
    """

    seeds_draws = True  # what a run would do else, see `mim_backbones.training.steps.draws`

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        samples_per_epoch: int | None = None,
    ) -> None:
        self.rank, self.world_size = get_dist_info()
        self.length = len(dataset)
        self.samples = samples_per_epoch or self.length
        self.shuffle = shuffle
        self.seed = seed or 0
        self.epoch = 0

    def __len__(self) -> int:
        return -(-self.samples // self.world_size)

    def __iter__(self) -> Iterator[Sample]:
        order = np.arange(self.length)
        if self.shuffle:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        order = np.resize(order, len(self) * self.world_size)  # past its end it starts again
        for position in range(self.rank, len(order), self.world_size):
            yield int(order[position]), (self.seed, self.epoch, position)

    def set_epoch(self, epoch: int) -> None:
        """Called by mmengine's loop before each epoch."""
        self.epoch = epoch
