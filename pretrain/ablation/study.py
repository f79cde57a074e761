"""What a study compares: questions, the rows that answer them, tiers, and the work's figures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mim_backbones.console.recipes import recipes_root
from mim_backbones.errors import UserError

STATUSES = ('read', 'recalled')
Changes = Mapping[str, Any]  # dotted key of a recipe -> its value in a row


@dataclass(frozen=True)
class Figure:
    """A number of the work. status: 'read' in a repository, or 'recalled' and to be checked."""

    value: float
    status: str
    source: str


@dataclass(frozen=True)
class Tier:
    """At which size rows run.

    recipe: what a row's changes are put on.
    steps: of the optimizer, in each row's pre-training.
    tasks: what each row is evaluated on.
    instead: row -> its changes here, where the study's own do not fit.
    """

    name: str
    recipe: Path
    steps: int
    tasks: tuple[str, ...]
    instead: Mapping[str, Changes]


@dataclass(frozen=True)
class Question:
    """One axis of a study.

    rows: name -> what it changes, at published sizes.
    at: tier -> the rows that run there.
    default: the row that the work settles on; differences are taken to it.
    published: row -> figure, for those known.
    note: what is known of the others; '' for nothing.
    after: row -> key of the recipe -> the row whose checkpoint, of the same seed, is put there.
    diversity: whether the token diversity of each row's target is measured too.
    """

    name: str
    title: str
    default: str
    rows: Mapping[str, Changes]
    at: dict[str, tuple[str, ...]]
    published: dict[str, Figure]
    note: str
    after: dict[str, dict[str, str]] = field(default_factory=dict)
    diversity: bool = False

    def with_needed(self, rows: Iterable[str]) -> tuple[str, ...]:
        """The rows, those that they need among them or before them."""
        found: dict[str, None] = {}
        for row in rows:
            needed = self.with_needed(self.after.get(row, {}).values())
            found |= dict.fromkeys([*needed, row])
        return tuple(found)

    def waves(self, rows: Iterable[str]) -> list[tuple[str, ...]]:
        """The rows in turns: what a row needs is in an earlier one."""
        waiting, waves = list(rows), []
        while waiting:
            needing = [row for row in waiting if {*self.after.get(row, {}).values()} & {*waiting}]
            assert needing != waiting, f'{self.name}: rows need each other'
            waves.append(tuple(row for row in waiting if row not in needing))
            waiting = needing
        return waves


@dataclass(frozen=True)
class Study:
    """A method's axes. recipe: of the published size; metric: what the published figures are."""

    method: str
    recipe: Path
    metric: str
    tiers: dict[str, Tier]
    axes: dict[str, Question]

    def axis(self, name: str | None) -> Question:
        """Raises UserError with the names there are."""
        return _choose('--axis', name, self.axes)

    def tier(self, name: str | None) -> Tier:
        """Raises UserError with the names there are."""
        return _choose('--tier', name, self.tiers)

    def changes(self, row: str, tier: Tier | None = None) -> Changes:
        """What a row changes in the tier's recipe; in the published one without a tier."""
        own = next(axis.rows[row] for axis in self.axes.values() if row in axis.rows)
        return own if tier is None else tier.instead.get(row, own)


def find_study(method: str) -> Study:
    """The study of a method.

    Raises:
        UserError: there is none.
    """
    return read_study(_choose('method', method, study_files()))


def study_files() -> dict[str, Path]:
    """Method -> the YAML of its study."""
    found = sorted((recipes_root() / 'pretrain' / 'ablation').glob('*.yaml'))
    return {path.stem: path for path in found}


def read_study(path: Path) -> Study:
    """Reads a study; a broken one is our mistake, so it fails as it may."""
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    root, short = recipes_root(), content.get('short', {})
    tiers = {
        name: Tier(
            name,
            root / tier['recipe'],
            tier['steps'],
            tuple(tier['tasks']),
            _rows(tier.get('instead', {}), short),
        )
        for name, tier in content['tiers'].items()
    }
    sources = content['sources']
    assert all(source['status'] in STATUSES for source in sources.values()), path
    axes = {
        name: _question(name, axis, tiers, sources, short) for name, axis in content['axes'].items()
    }
    return Study(content['method'], root / content['recipe'], content['metric'], tiers, axes)


def _question(
    name: str, axis: dict[str, Any], tiers: dict[str, Tier], sources: dict, short: dict[str, str]
) -> Question:
    published = {
        row: Figure(float(figure['value']), **sources[figure['from']])
        for row, figure in axis['published'].items()
    }
    rows = _rows(axis['rows'], short)
    at = {tier: tuple(axis[tier]) for tier in tiers if tier in axis}
    after = _rows(axis.get('after', {}), short)
    needed = {row for keys in after.values() for row in keys.values()}
    assert {axis['default'], *published, *sum(at.values(), ()), *after, *needed} <= {*rows}, name
    return Question(
        name,
        axis['title'],
        axis['default'],
        rows,
        at,
        published,
        axis.get('note', ''),
        after,
        axis.get('diversity', False),
    )


def _rows(rows: dict[str, dict[str, Any]], short: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Each row's changes with the short names of keys spelt out."""

    def spelt(key: str) -> str:
        first, dot, rest = key.partition('.')
        return f'{short.get(first, first)}{dot}{rest}'

    return {name: {spelt(key): v for key, v in row.items()} for name, row in rows.items()}


def _choose(what: str, name: str | None, choices: dict[str, Any]) -> Any:
    if name in choices:
        return choices[name]
    given = f'no {name!r}' if name else 'not given'
    raise UserError(f'{what}: {given}; choose from {", ".join(choices)}')
