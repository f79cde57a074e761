"""Where a teacher's weights come from: a file, or random numbers when that is asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from mim_backbones.checkpoints.source import TIMM
from mim_backbones.errors import UserError

Net = TypeVar('Net')


def check_choice(
    teacher: str,
    checkpoint: str | None,
    random_weights: bool,
    wanted: str = 'a file of weights',
    option: str = 'model.target.teacher',
) -> None:
    """Exactly one of file and random weights, and the file is there.

    Args:
        wanted: which file it is and how to get it.
        option: where a recipe has the teacher.

    Raises:
        UserError: otherwise.
    """
    if checkpoint is None and not random_weights:
        raise UserError(
            f'{teacher}: no weights; it wants {wanted}. Set {option}.checkpoint=FILE, or '
            f'{option}.random_weights=True to try things out'
        )
    if checkpoint is not None and random_weights:
        raise UserError(
            f'{teacher}: both checkpoint={checkpoint} and random_weights=True; leave out one'
        )
    if checkpoint is None:
        return
    if checkpoint.startswith(TIMM):
        name, _, file = checkpoint.removeprefix(TIMM).partition('@')
        if not file:
            check_cached(teacher, name)
    elif not Path(checkpoint).is_file():
        raise UserError(f'{teacher}: {checkpoint} does not exist; it wants {wanted}')


def drawn_alike(make: Callable[[], Net], seed: int = 0) -> Net:
    """What `make` draws at random, the same in every process and after every resume.

    A frozen teacher is in no checkpoint: its random weights have to come out the same again.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def check_cached(teacher: str, name: str) -> None:
    """Refuse a model of timm whose weights are not at hand.

    Nothing is downloaded: eight processes would all do so, and a node without network waits.

    Raises:
        UserError: the weights are not in Hugging Face's cache; which file is wanted.
    """
    import timm
    from huggingface_hub import try_to_load_from_cache

    config = timm.get_pretrained_cfg(name)
    hub = None if config is None else config.hf_hub_id
    if not hub:
        return  # timm knows another place
    files = ('model.safetensors', 'pytorch_model.bin')
    if not any(isinstance(try_to_load_from_cache(hub, file), str) for file in files):
        raise UserError(
            f'{teacher}: the weights of {name} are not in the cache; it wants model.safetensors '
            f'of {hub} on Hugging Face: run `hf download {hub}`, or give timm:{name}@FILE, or '
            'model.target.teacher.random_weights=True to try things out'
        )
