"""Which training pictures are labelled, and which only choose: shares of every class, by seed.

    order of a class's pictures    a permutation drawn by (seed, class)
    labelled                       from its front: a share, or so many
    held out                       from its back: a share

Lists of one seed are nested, 1 % within 10 %, and what is held out is never labelled.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mim_backbones.errors import UserError


def choose(
    labels: Sequence[int],
    seed: int = 0,
    held_out: float = 0.0,
    share: float = 1.0,
    per_class: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the pictures that are labelled, and of those held out, each in rising order.

    Args:
        labels: of all pictures.
        held_out: share of each class, at least one picture where it is above 0.
        share: of each class that is labelled, at least one picture; of what is not held out at most
            all.
        per_class: so many of each class in its place.

    Raises:
        UserError: a class has no picture left to be labelled; names its number.
    """
    classes = np.asarray(labels)
    order = np.argsort(classes, kind='stable')
    bounds = np.searchsorted(classes[order], np.arange(classes.max() + 2))
    taken, kept = [], []
    for number in range(len(bounds) - 1):
        mine = order[bounds[number] : bounds[number + 1]]
        if not len(mine):
            continue
        mine = np.random.default_rng([seed, number]).permutation(mine)
        behind = max(1, round(held_out * len(mine))) if held_out else 0
        wanted = max(1, round(share * len(mine))) if per_class is None else per_class
        front = min(wanted, len(mine) - behind)
        if front < 1:
            raise UserError(
                f'classification: class {number} has {len(mine)} training pictures, of which '
                f'{behind} are held out and none is left; lower held_out, or add pictures'
            )
        taken.append(mine[:front])
        kept.append(mine[len(mine) - behind :])
    return np.sort(np.concatenate(taken)), np.sort(np.concatenate(kept))
