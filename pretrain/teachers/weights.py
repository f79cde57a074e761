"""Where a teacher's weights come from: a file, or random numbers when that is asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from mim_backbones.errors import UserError

Net = TypeVar('Net')


def check_choice(
    teacher: str, checkpoint: str | None, random_weights: bool, wanted: str = 'a file of weights'
) -> None:
    """Exactly one of file and random weights, and the file is there.

    Args:
        wanted: which file it is and how to get it.

    Raises:
        UserError: otherwise.
    """
    if checkpoint is None and not random_weights:
        raise UserError(
            f'{teacher}: no weights; it wants {wanted}. Set model.teacher.checkpoint=FILE, or '
            'model.teacher.random_weights=True to try things out'
        )
    if checkpoint is not None and random_weights:
        raise UserError(
            f'{teacher}: both checkpoint={checkpoint} and random_weights=True; leave out one'
        )
    if checkpoint is not None and not is_timm(checkpoint) and not Path(checkpoint).is_file():
        raise UserError(f'{teacher}: {checkpoint} does not exist; it wants {wanted}')


def is_timm(checkpoint: str) -> bool:
    return checkpoint.startswith('timm:')


def drawn_alike(make: Callable[[], Net], seed: int = 0) -> Net:
    """What `make` draws at random, the same in every process and after every resume.

    A frozen teacher is in no checkpoint: its random weights have to come out the same again.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()
