"""The protocols there are, and which of them an evaluation takes."""

from dataclasses import dataclass
from pathlib import Path

from downstream.results.result import Protocol
from downstream.task import find_task
from mim_backbones.console.recipes import recipes_root
from mim_backbones.errors import UserError

PROTOCOLS = {
    'detection/mask-rcnn_vit_smoke_coco.py': ('mask-rcnn', 'detection'),
    'segmentation/upernet_vit_smoke_ade.py': ('upernet', 'segmentation'),
    'tracking/one-stream_vit_smoke_lasot.py': ('one-stream', 'tracking'),
}


@dataclass(frozen=True)
class Recipe:
    """A protocol, the file that defines it, and the first line of that file's docstring."""

    protocol: Protocol
    path: Path
    summary: str


def recipes() -> dict[str, Recipe]:
    """Every protocol by its name."""
    root = recipes_root() / 'downstream'
    return {
        name: Recipe(Protocol(name, '1', task, 'smoke', 'vit'), root / file, '')
        for file, (name, task) in PROTOCOLS.items()
    }


def find_protocol(task: str, tier: str, family: str = '', name: str | None = None) -> Recipe:
    """The protocol of a task for a family of backbones.

    Raises:
        UserError: there is none.
    """
    task = find_task(task).name
    for recipe in recipes().values():
        protocol = recipe.protocol
        fits = protocol.name == name if name else protocol.tier == tier
        if protocol.task == task and fits and family in ('', protocol.family):
            return recipe
    raise UserError(f'{task} has no {name or f"tier {tier!r}"} for {family or "any"}; known: smoke')
