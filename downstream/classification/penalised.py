"""Linear classifiers of frozen features under a path of penalties: few labels.

    x' = (x - mean) / std over the labelled pictures -> W, b for each penalty -> scores of x itself

Which penalty counts is chosen by held-out pictures.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from downstream.classification.reader import FeatureReader

SMALLEST = 1e-6  # deviation: a feature that never changes says nothing


class PenalisedReader(FeatureReader):
    """See the module.

    Args:
        penalties: of weights, on features of deviation 1.
        options: of `FeatureReader`.

    Attributes:
        weight, bias: (P, R, C, D) and (P, R, C), for features as they come.
    """

    def __init__(self, penalties: Sequence[float], **options: Any) -> None:
        super().__init__(**options)
        self.penalties = tuple(penalties)
        self.names = tuple(f'{pool}, penalty {r:g}' for pool in self.pools for r in penalties)
        shape = (len(self.pools), len(self.penalties), self.num_classes)
        self.register_buffer('weight', torch.zeros(*shape, self.backbone.last_dim))
        self.register_buffer('bias', torch.zeros(shape))

    def fit(self, features: Tensor, labels: Tensor) -> None:
        for number in range(len(self.pools)):
            x, mean, std = standardise(features[:, number].double())
            for place, (weight, bias) in enumerate(self.solved(x, labels)):
                self.weight[number, place] = weight / std
                self.bias[number, place] = bias - (weight / std) @ mean

    @abstractmethod
    def solved(self, x: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Weights (C, D) and biases (C,) of each penalty, in their order.

        x: (N, D) float64, of mean 0 and deviation 1. labels: (N,) int64.
        """

    def scores(self, features: Tensor) -> Tensor:
        return (torch.einsum('bpd,prcd->bprc', features, self.weight) + self.bias).flatten(1, 2)


def standardise(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features (N, D) -> (N, D) of mean 0 and deviation 1, and their mean and deviation (D,)."""
    mean, std = x.mean(0), x.std(0, correction=0).clamp(min=SMALLEST)
    return (x - mean) / std, mean, std
