"""Classes of pictures by the vote of the most similar training pictures; nothing is learnt.

    score(query, c) = sum over its k nearest n of class c of  softmax_n(f_query . f_n / temperature)

DINO's evaluation (arXiv 2104.14294, section 4.1), with features of unit length: k 10, 20, 100 and
200, temperature 0.07. There the best k is chosen by the test pictures, here by held-out ones.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from downstream.classification.reader import FeatureReader
from downstream.registry import MODELS
from mim_backbones.probes.nearest import nearest, votes

BANK = ('bank', 'labels')


@MODELS.register_module()
class NearestPictures(FeatureReader):
    """See the module.

    Args:
        neighbours: k, in rising order; all pictures where there are fewer.
        options: of `FeatureReader`.

    Attributes:
        bank: (P, N, D) float32, of unit length.
        labels: (N,) int64.
    """

    def __init__(
        self,
        neighbours: Sequence[int] = (10, 20, 100, 200),
        temperature: float = 0.07,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.neighbours, self.temperature = tuple(neighbours), temperature
        self.names = tuple(f'{pool}, k={k}' for pool in self.pools for k in neighbours)
        width = self.backbone.last_dim
        self.register_buffer('bank', torch.zeros(len(self.pools), 0, width))
        self.register_buffer('labels', torch.zeros(0, dtype=torch.int64))

    def fit(self, features: Tensor, labels: Tensor) -> None:
        self.bank = F.normalize(features, dim=-1).transpose(0, 1).contiguous()
        self.labels = labels

    def scores(self, features: Tensor) -> Tensor:
        queries = F.normalize(features, dim=-1)
        found = []
        for number, bank in enumerate(self.bank):
            near, rows = nearest(queries[:, number], bank, self.neighbours[-1])
            classes = self.labels[rows]
            found += [
                votes(near[:, :k], classes[:, :k], self.num_classes, self.temperature)
                for k in self.neighbours
            ]
        return torch.stack(found, 1)

    def _load_from_state_dict(self, state: dict, prefix: str, *rest: Any) -> None:
        """A bank is as large as its data set."""
        for name in BANK:
            if prefix + name in state:
                setattr(self, name, getattr(self, name).new_zeros(state[prefix + name].shape))
        super()._load_from_state_dict(state, prefix, *rest)
