"""What can be measured: words of a command line, each as a target that is bound to a grid.

FILE                   a checkpoint that mimbench reads: the last map of its backbone
timm:NAME[@FILE]       a model of timm; random:timm:NAME without its weights
pixels, norm-pix, hog  targets that need no net
RECIPE                 a pre-training recipe: what its loss sees, after aligner and norm
NAME=one of these      under a name of one's own
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mim_backbones.checkpoints.source import TIMM, open_source
from mim_backbones.console.recipes import find_recipe
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config, require_keys
from mim_backbones.training.launch import build_errors_in_one_line
from pretrain.images.dataset import View
from pretrain.methods.base import Method
from pretrain.methods.load import DATASET
from pretrain.registry import MODELS, build
from pretrain.targets.base import Student, Target, as_text
from pretrain.targets.features import FeatureTarget
from pretrain.teachers.backbone import BackboneTeacher
from pretrain.teachers.base import Teacher
from pretrain.teachers.timm_model import TimmTeacher

RANDOM = 'random:'
IMG_SIZE = 224  # of what has no size of its own
PLAIN: dict[str, dict[str, Any]] = {
    'pixels': {'type': 'PatchTarget', 'norm_pix': False},
    'norm-pix': {'type': 'PatchTarget'},
    'hog': {'type': 'HOGTarget'},
}
KINDS = ('pixels', 'features')  # of values that are vectors of real numbers
RECIPES = ('.py', '.yaml', '.yml', '.json')


@dataclass(frozen=True)
class Candidate:
    """name: for people; source: the word; target: bound; view: what it sees of a crop."""

    name: str
    source: str
    target: Target
    view: View


def open_candidates(
    words: Sequence[str], img_size: int | None = None, patch_size: int = 16
) -> list[Candidate]:
    """One for each word, in their order.

    Args:
        img_size: side in pixels of what nets and plain targets see; None: a net's own, else 224.
            A recipe keeps its own.
        patch_size: pixels per position and side of plain targets.

    Raises:
        UserError: a word that names nothing, something without a map of vectors, or a name twice.
    """
    found: list[Candidate] = []
    for word in words:
        name, equals, source = word.partition('=')
        if not equals or Path(word).exists():
            name, source = own_name(word), word
        if name in {one.name for one in found}:
            raise UserError(f'two of these are called {name}; call one NAME={source}')
        with in_one_line(source):
            target, view = open_target(source, img_size, patch_size)
        rows, columns = target.grid
        if rows * columns < 2:
            raise UserError(
                f'{source} gives a {as_text(target.grid)} grid at {view.size} px, diversity takes '
                'two tokens or more; give a larger --img-size'
            )
        found.append(Candidate(name, source, target, view))
    return found


def own_name(word: str) -> str:
    """A file's name without folder and ending; any other word as it is."""
    is_file = TIMM not in word and Path(word).suffix
    return Path(word).stem if is_file else word


def open_target(source: str, img_size: int | None, patch_size: int) -> tuple[Target, View]:
    """A bound target and what it sees."""
    if source in PLAIN:
        side = img_size or IMG_SIZE
        plain: Target = build(MODELS, PLAIN[source])
        plain.bind(Student('the image', (side, side), patch_size))
        return plain, View(side)
    timm = source.removeprefix(RANDOM)
    if timm.startswith(TIMM):
        return of_teacher(TimmTeacher(timm, timm != source, img_size))
    if Path(source).is_file() and Path(source).suffix not in RECIPES:
        content = open_source(source)
        own = (content.record or {}).get('img_size', IMG_SIZE)
        return of_teacher(BackboneTeacher(content, img_size or own))
    return of_recipe(recipe_of(source))


def of_teacher(teacher: Teacher) -> tuple[Target, View]:
    """A teacher's map on its own grid, as it is."""
    stride = teacher.input_size // teacher.grid[0]
    rows, columns = (cells * stride for cells in teacher.grid)
    target = FeatureTarget(teacher)
    target.bind(Student('its own grid', (rows, columns), stride))
    return target, View(teacher.input_size)


def of_recipe(path: Path) -> tuple[Target, View]:
    """The target of a recipe's model, fitted to its backbone.

    Raises:
        UserError: no such recipe, or a target with nothing to measure.
    """
    config = read_config(path)
    require_keys(config, 'pre-training recipe', 'model.type', 'model.backbone', DATASET)
    with build_errors_in_one_line(str(path)):
        model = build(MODELS, config.model)
    target = model.target if isinstance(model, Method) else None
    if target is None:
        raise UserError(f'config {path}: its {config.model.type} has no target to measure')
    if target.kind not in KINDS:
        raise UserError(
            f'config {path}: its target gives {target.kind}, not a map of vectors; diversity is of '
            f'{" and ".join(KINDS)}'
        )
    if target.state in ('ema', 'stage'):
        raise UserError(
            f'config {path}: its target follows the student, there is nothing to measure before '
            'training'
        )
    interpolation = config.train_dataloader.dataset.get('interpolation', 'bilinear')
    return target, target.view or View(model.img_size, interpolation)


def recipe_of(source: str) -> Path:
    try:
        return find_recipe(source)
    except UserError as error:
        raise UserError(
            f'no teacher {source!r}: give the file of a checkpoint or a recipe, timm:NAME, '
            f'random:timm:NAME, {", ".join(PLAIN)}'
        ) from error


@contextmanager
def in_one_line(source: str) -> Iterator[None]:
    """What a target or a teacher refuses, as a user's mistake."""
    try:
        yield
    except (ValueError, KeyError) as error:
        raise UserError(f'{source}: {" ".join(str(error).split())}') from error
