"""What a study compares: axes of rows, the tiers they run at, the figures the work reports."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import pretrain
from mim_backbones.errors import UserError

ROOT = Path(pretrain.__file__).resolve().parents[1]
STUDIES = ROOT / 'configs' / 'pretrain' / 'ablation'
STATUSES = ('read', 'recalled')


@dataclass(frozen=True)
class Figure:
    """A number of the work. status: 'read' in a repository, or 'recalled' and to be checked."""

    value: float
    status: str
    source: str


@dataclass(frozen=True)
class Tier:
    """At which size rows run.

    base: the recipe that a row's delta is put on.
    pretrain_steps: optimizer steps of each row.
    tasks: what each row is evaluated on.
    """

    name: str
    base: Path
    pretrain_steps: int
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Axis:
    """One question of a study.

    rows: all of them, as published sizes.
    at: tier -> the rows that run there.
    default: the row that the work settles on; differences are taken to it.
    published: row -> figure, for those known.
    note: what is known of the others; '' for nothing.
    """

    name: str
    title: str
    default: str
    rows: tuple[str, ...]
    at: dict[str, tuple[str, ...]]
    published: dict[str, Figure]
    note: str


@dataclass(frozen=True)
class Study:
    """A method's axes. metric: what the published figures are, and of which model."""

    folder: Path
    method: str
    metric: str
    tiers: dict[str, Tier]
    axes: dict[str, Axis]

    def axis(self, name: str | None) -> Axis:
        """Raises UserError with the names there are."""
        return _choose('--axis', name, self.axes)

    def tier(self, name: str | None) -> Tier:
        """Raises UserError with the names there are."""
        return _choose('--tier', name, self.tiers)

    def row_file(self, row: str, tier: Tier) -> Path:
        """The tier's own file of a row where there is one, else the published size's."""
        own = self.folder / tier.name / f'{row}.py'
        return own if own.is_file() else self.folder / f'{row}.py'


def find_study(method: str) -> Study:
    """The study of a method.

    Raises:
        UserError: there is none.
    """
    return read_study(_choose('method', method, study_files()))


def study_files() -> dict[str, Path]:
    """Method -> its axes.yaml.

    Raises:
        UserError: the recipes are not beside the package (installed without its checkout).
    """
    found = {path.parent.name: path for path in sorted(STUDIES.glob('*/axes.yaml'))}
    if not found:
        raise UserError(
            f'no ablation in {STUDIES}; run from a checkout of mimbench (pip install -e .)'
        )
    return found


def read_study(path: Path) -> Study:
    """Reads an axes.yaml; a broken one is our mistake, so it fails as it may."""
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    tiers = {
        name: Tier(name, ROOT / tier['base'], tier['pretrain_steps'], tuple(tier['tasks']))
        for name, tier in content['tiers'].items()
    }
    sources = content['sources']
    assert all(source['status'] in STATUSES for source in sources.values()), path
    axes = {name: _axis(name, axis, tiers, sources) for name, axis in content['axes'].items()}
    return Study(path.parent, content['method'], content['metric'], tiers, axes)


def _axis(name: str, axis: dict[str, Any], tiers: dict[str, Tier], sources: dict) -> Axis:
    published = {
        row: Figure(float(figure['value']), **sources[figure['from']])
        for row, figure in axis['published'].items()
    }
    rows = tuple(axis['rows'])
    at = {tier: tuple(axis[tier]) for tier in tiers if tier in axis}
    assert {axis['default'], *published, *sum(at.values(), ())} <= set(rows), name
    return Axis(name, axis['title'], axis['default'], rows, at, published, axis.get('note', ''))


def _choose(what: str, name: str | None, choices: dict[str, Any]) -> Any:
    if name in choices:
        return choices[name]
    given = f'no {name!r}' if name else 'not given'
    raise UserError(f'{what}: {given}; choose from {", ".join(choices)}')
