"""The protocols with what they cost and what others report under them.

Counting fifty models takes minutes: the numbers of this project's recipes stand in `costs.json`,
each beside a digest of its recipe, and are made anew by

    python tools/count_protocols.py

A recipe that has no row there, or another digest, is counted when it is asked for.

    GPU-hours   published seconds per image x images of the training, where a recipe states them
                (`protocol.seconds_per_image`), else 3 x multiply-adds x images / `RATE`

A training step is taken as three times the forward pass at the test size. RATE is what ViTDet's
release reaches with ViT-B by the same count: 3 x 1.05 T / 0.314 s.
"""

import ast
import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from downstream.evaluation.protocols import Recipe
from mim_backbones.console.recipes import with_bases

RATE = 10e12  # multiply-adds per second and GPU
COUNTS = Path(__file__).parent / 'costs.json'
PUBLISHED = Path(__file__).parent / 'published.csv'
# Names of sizes in `archs` -> how publications end them: ViT-B/16, ViT-Tiny.
SIZES = {
    'tiny': ('T', 'Ti', 'Tiny'), 'tiny-h12': ('Ti', 'Tiny'), 'small': ('S', 'Small'),
    'base': ('B', 'Base'), 'base-plus': ('B+',), 'large': ('L', 'Large'), 'huge': ('H', 'Huge'),
}  # fmt: skip
FAMILIES = {'vit': 'ViT', 'swin': 'Swin', 'hiera': 'Hiera'}


@dataclass(frozen=True)
class Cost:
    """Of a protocol; parameters, multiply-adds, input and images as in `count.Count`."""

    parameters: int
    macs: int
    input: tuple[int, int]
    images: int
    seconds_per_image: float

    @property
    def gpu_hours(self) -> float:
        """Of one training; 0 where nothing says how many images it sees."""
        seconds = self.seconds_per_image or 3 * self.macs / RATE
        return seconds * self.images / 3600


@dataclass(frozen=True)
class PublishedSystem:
    """One system of a publication under a protocol: metric in the publication's words -> value."""

    method: str
    arch: str
    pretrain_epochs: str
    source: str
    values: dict[str, float]

    def __str__(self) -> str:
        epochs = f' {self.pretrain_epochs}e' if self.pretrain_epochs else ''
        return f'{self.method}{epochs} {" / ".join(f"{v:.1f}" for v in self.values.values())}'


def costs(found: Iterable[Recipe]) -> Iterator[tuple[Recipe, str, Cost]]:
    """Recipe, size of backbone ('' where the recipe names none) and cost, by recipe and size.

    Raises:
        UserError: a recipe without a row cannot be counted.
    """
    table = json.loads(COUNTS.read_text()) if COUNTS.is_file() else {}
    for recipe in found:
        now = digest(recipe.path)
        for arch in recipe.sizes or ('',):
            yield recipe, arch, _cost(recipe, arch, table.get(key(recipe, arch), {}), now)


def key(recipe: Recipe, arch: str) -> str:
    """Of a row in `costs.json`: the protocol, with the size where it has several."""
    return f'{recipe.protocol.name} {arch}' if len(recipe.sizes) > 1 else recipe.protocol.name


def counted(recipe: Recipe, arch: str = '') -> dict[str, Any]:
    """The row of a recipe, at a size, in `costs.json`."""
    from downstream.costs.count import count

    found = asdict(count(recipe.path, recipe.protocol.task, arch))
    return {'digest': digest(recipe.path), **found}


def digest(path: Path) -> str:
    """SHA-256 of what a recipe and its bases say: comments and docstrings do not count."""
    text = '\n'.join(_said(path))
    return hashlib.sha256(text.encode()).hexdigest()


def reported(
    recipe: Recipe, arch: str = '', rows: Iterable[dict[str, str]] | None = None
) -> list[PublishedSystem]:
    """What is published under a protocol, for a size of backbones, in the file's order.

    Args:
        arch: the size; default: that of the protocol, or any.
        rows: of a file like `published_results.csv`; default: those in the package.
    """
    protocol, arch = recipe.protocol, arch or recipe.protocol.arch
    systems: dict[tuple[str, ...], dict[str, float]] = {}
    for row in published() if rows is None else rows:
        if not protocol.framework or row['framework'] != protocol.framework:
            continue
        if arch and row['arch'].partition('/')[0] not in _titles(protocol.family, arch):
            continue
        system = tuple(row[name] for name in ('method', 'arch', 'pretrain_epochs', 'source'))
        systems.setdefault(system, {})[row['metric']] = float(row['value'])
    return [PublishedSystem(*system, values) for system, values in systems.items()]


def published() -> list[dict[str, str]]:
    """Rows that this project's protocols compare with, each with its source."""
    with open(PUBLISHED, newline='', encoding='utf-8') as stream:
        return list(csv.DictReader(stream))


def _cost(recipe: Recipe, arch: str, row: dict[str, Any], now: str) -> Cost:
    if row.get('digest') != now:
        row = counted(recipe, arch)
    sides = tuple(row['input'])
    return Cost(row['parameters'], row['macs'], sides, row['images'], recipe.seconds_per_image)


def _said(path: Path) -> Iterator[str]:
    for file in with_bases(path):
        for node in ast.parse(file.read_text(encoding='utf-8')).body:
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                yield ast.unparse(node)


def _titles(family: str, arch: str) -> set[str]:
    return {f'{FAMILIES.get(family, "")}-{size}' for size in SIZES.get(arch, (arch,))}
