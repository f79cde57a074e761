"""The order of training pairs: 0, 1, 2, .., dealt in turn to the processes, without end.

A batch of all processes holds the same pairs whatever their number. No list of the millions of a
long training is made, as mmengine's InfiniteSampler does.
"""

from collections.abc import Iterator
from itertools import count

from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from downstream.registry import DATA_SAMPLERS
from downstream.tracking.pairs import TrackingPairs


@DATA_SAMPLERS.register_module()
class EveryPair(Sampler):
    """Each index is another pair.

    Args:
        dataset: whose length is the length of the training.
        seed: not read: the pairs have one of their own.
    """

    seeds_draws = True

    def __init__(self, dataset: TrackingPairs, seed: int | None = None) -> None:
        self.size = len(dataset)
        self.rank, self.processes = get_dist_info()
        self.begin = 0

    def skip(self, samples: int) -> None:
        """Begin after so many pairs of this process: a resumed run goes on."""
        self.begin = samples

    def __iter__(self) -> Iterator[int]:
        return count(self.rank + self.begin * self.processes, self.processes)

    def __len__(self) -> int:
        return self.size
