"""Named, versioned protocols: without its protocol a downstream number means nothing.

A protocol is a recipe under `configs/`, whose data, classes and backbone `mimbench eval` fits to
what it is given. Whatever changes the numbers of a recipe raises its version here.
"""

from dataclasses import dataclass
from pathlib import Path

import downstream
from downstream.results.result import Protocol
from mim_backbones.errors import UserError


@dataclass(frozen=True)
class TaskProtocol:
    """A protocol of one task and the recipe it runs, relative to `configs/downstream`."""

    task: str
    protocol: Protocol
    recipe: str


PROTOCOLS = (
    TaskProtocol(
        'detection',
        Protocol('mask-rcnn', '1', 'detection', 'smoke', 'vit'),
        'detection/mask-rcnn_vit_smoke_coco.py',
    ),
    TaskProtocol(
        'segmentation',
        Protocol('upernet', '1', 'segmentation', 'smoke', 'vit'),
        'segmentation/upernet_vit_smoke_ade.py',
    ),
    TaskProtocol(
        'tracking',
        Protocol('one-stream', '1', 'tracking', 'smoke', 'vit'),
        'tracking/one-stream_vit_smoke_lasot.py',
    ),
)
TASKS = tuple(dict.fromkeys(p.task for p in PROTOCOLS))
TIERS = tuple(dict.fromkeys(p.protocol.tier for p in PROTOCOLS))


def find_protocol(task: str, tier: str) -> TaskProtocol:
    """The protocol of a task at a tier.

    Raises:
        UserError: no such task, or it has no such tier.
    """
    if task not in TASKS:
        raise UserError(f'no task {task!r}; known: {", ".join(TASKS)}')
    for candidate in PROTOCOLS:
        if candidate.task == task and candidate.protocol.tier == tier:
            return candidate
    raise UserError(f'{task} has no tier {tier!r}; known: {", ".join(TIERS)}')


def recipe_path(protocol: TaskProtocol) -> Path:
    """The recipe's file.

    Raises:
        UserError: the recipes are not beside the package (installed without its checkout).
    """
    root = Path(downstream.__file__).resolve().parents[1] / 'configs' / 'downstream'
    path = root / protocol.recipe
    if not path.is_file():
        raise UserError(
            f'recipe {path} is not there; run from a checkout of mimbench (pip install -e .)'
        )
    return path
