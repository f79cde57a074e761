"""Where the true class stands among the scores: all that metrics need of a prediction."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor


class Ranks(NamedTuple):
    """Of one picture.

    held: whether it only chooses among classifiers.
    ranks: (K,) int32, one for each classifier: how many other classes score at least as high.
    confidence: (K,) float32, the probability of the likeliest class; None where scores are none.
    """

    name: str
    label: int
    held: bool
    ranks: NDArray
    confidence: NDArray | None = None


def label_ranks(scores: Tensor, label: Tensor) -> Tensor:
    """scores (B, K, C) of K classifiers, label (B,) -> (B, K) int32.

    A tie counts against the label: equal scores are no knowledge.
    """
    own = scores.gather(2, label[:, None, None].expand(-1, scores.shape[1], 1))
    return (scores >= own).sum(2).int() - 1


def ranks_of(
    scores: Tensor,
    label: Tensor,
    name: Sequence[str],
    held: Tensor,
    logits: bool = False,
    allowed: Tensor | None = None,
) -> list[Ranks]:
    """scores (B, K, C), label (B,), names, held (B,) bool -> one for each picture.

    Args:
        logits: whether a softmax of the scores gives probabilities.
        allowed: (B, C) bool, the classes that may be predicted; None: all.
    """
    if allowed is not None:
        scores = scores.masked_fill(~allowed[:, None], -torch.inf)
    found = label_ranks(scores, label).cpu().numpy()
    sure: Sequence[NDArray | None] = [None] * len(found)
    if logits:
        sure = list(scores.float().softmax(2).amax(2).cpu().numpy())
    rows = zip(name, label.tolist(), held.tolist(), found, sure, strict=True)
    return [Ranks(*one) for one in rows]
