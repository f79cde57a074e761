"""Ridge regression of class indicators on frozen features: few labels, in closed form.

    W  = argmin  1/n sum |W x' + b - y|^2 + penalty |W|^2 = (X'X / n + penalty)^-1 X'Y / n
    b  = mean of y, which is one-hot        x': features of deviation 1, penalised.py

All penalties come from one eigendecomposition.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from downstream.classification.penalised import PenalisedReader
from downstream.registry import MODELS


@MODELS.register_module()
class RidgeReader(PenalisedReader):
    """See the module; arguments as of `PenalisedReader`."""

    def __init__(
        self,
        penalties: Sequence[float] = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0),
        **options: Any,
    ) -> None:
        super().__init__(penalties, **options)

    def solved(self, x: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
        target = F.one_hot(labels, self.num_classes).double()
        prior = target.mean(0)
        values, vectors = torch.linalg.eigh(x.T @ x / len(x))
        turned = vectors.T @ (x.T @ (target - prior)) / len(x)
        return [((vectors @ (turned / (values + r)[:, None])).T, prior) for r in self.penalties]
