"""What `mimbench eval` compares: checkpoints, each opened and checked, and the random start."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downstream.evaluation.job import file_digest
from downstream.results.result import Checkpoint
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from mim_backbones.checkpoints.source import Content

RANDOM = 'random'
RANDOM_NAME = 'random init'
# mmengine's own file names say nothing of what they hold; their folder's does.
ANONYMOUS = re.compile(r'(epoch|iter)_\d+|latest|last|best.*|checkpoint.*|model')


@dataclass(frozen=True)
class Contestant:
    """A name for people, the weights (None: random start), and the backbone that takes them."""

    name: str
    checkpoint: Checkpoint | None
    method: str
    backbone: dict[str, Any]


def open_contestants(sources: Sequence[str], arch: str | None = None) -> list[Contestant]:
    """FILE, NAME=FILE or 'random' -> contestants, every file read and its weights fitted once.

    The random start takes the architecture of `arch`, or else of the first checkpoint.

    Args:
        arch: a config file whose `model.backbone` describes files that do not say themselves.

    Raises:
        UserError: an unreadable or foreign checkpoint, equal names, or no architecture to start.
    """
    described = backbone_of_config(arch) if arch else None
    found = [_open(source, described) for source in sources if source != RANDOM]
    if RANDOM in sources:
        backbone = described or next((one.backbone for one in found), None)
        if backbone is None:
            raise UserError(
                "'random' takes the architecture of another checkpoint of the same command; "
                'give one, or --arch CONFIG'
            )
        random = Contestant(RANDOM_NAME, None, 'none', backbone)
        found.insert(min(sources.index(RANDOM), len(found)), random)
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f'two checkpoints are called {twice!r}; name them: NAME=FILE')
    return found


def backbone_of_config(path: str | Path) -> dict[str, Any]:
    """`model.backbone` of a config file, as plain dicts.

    Raises:
        UserError: no such file, not a config, or it has no model.backbone.
    """
    from mim_backbones.training.config import open_config, value_at

    cfg = open_config(path)
    if value_at(cfg, 'model.backbone') is None:
        raise UserError(f'--arch {path} has no model.backbone')
    return cfg.to_dict()['model']['backbone']


def display_name(path: Path) -> str:
    """The file's name without ending, or its folder's where the name says nothing."""
    stem = path.stem
    return path.resolve().parent.name if ANONYMOUS.fullmatch(stem) else stem


def _open(source: str, described: dict[str, Any] | None) -> Contestant:
    name, separator, file = source.partition('=')
    if not separator or Path(source).exists():
        name, file = '', source
    path = Path(file)

    from mim_backbones.checkpoints.load import load_pretrained
    from mim_backbones.checkpoints.source import open_source
    from mim_backbones.registry import MODELS

    content = open_source(path)
    backbone = described if described and content.record is None else _inferred(content)
    # Fitting the weights here finds a file that does not cover its backbone before any training.
    load_pretrained(MODELS.build(dict(backbone)), content)
    return Contestant(
        name=name or display_name(path),
        checkpoint=Checkpoint(str(path.resolve()), file_digest(path)),
        method=str((content.record or {}).get('method', 'unknown')),
        backbone=backbone,
    )


def _inferred(content: 'Content') -> dict[str, Any]:
    """What the file records of its backbone, or its shapes show.

    Raises:
        UserError: neither tells enough, or it is no ViT, which the tasks' recipes are made for.
    """
    from mim_backbones.checkpoints.load import backbone_config
    from mim_backbones.checkpoints.safe.weights_file import CheckpointError

    try:
        backbone = backbone_config(content)
    except CheckpointError as error:
        raise UserError(f'{error}; or describe the backbone with --arch CONFIG') from error
    kind = str(backbone['type']).rpartition('.')[2]
    if kind != 'MIMViT':
        raise UserError(
            f'checkpoint {content.name} holds a {kind}; the recipes of mimbench eval take MIMViT. '
            'Use it in a config of mmdetection or mmsegmentation'
        )
    return backbone
