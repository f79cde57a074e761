"""One evaluation's result as JSON: what was scored, how, at what cost, on which data.

A folder of results holds per (checkpoint, task, protocol, seed) one `STEM.json`, its unit scores
`STEM.units.npz` (for intervals and paired comparisons) and its pictures. The JSON is written last
and atomically: a result that is there is complete.
"""

import hashlib
import json
import re
import sys
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from downstream.results.robustness import Robustness, Scored, save_halves
from downstream.results.units import UnitScores, read_arrays
from downstream.task import tasks
from mim_backbones.console.atomic_file import write_bytes_atomically
from mim_backbones.errors import UserError

SCHEMA = 2
CONTROL = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f]')  # but tab and line feed
LARGEST = 2**24  # bytes of a JSON file
TIERS = ('smoke', 'proxy', 'full')
ELSEWHERE = 'elsewhere'  # the tier of predictions that no recipe made
DIGESTS = ('config_sha256', 'protocol_sha256', 'backbone_sha256')


@dataclass(frozen=True)
class Checkpoint:
    path: str
    sha256: str


@dataclass(frozen=True)
class Protocol:
    """What a recipe says it is; without it a number means nothing.

    family: of backbones the recipe is made for, 'vit', 'swin' or 'hiera'; '' for any.
    arch: of that family, a name of `mim_backbones.backbones.archs`; '' for any size.
    framework: the `framework` of the published rows this recipe reproduces; '' when none does.
    """

    name: str
    version: str
    task: str
    tier: str
    family: str = ''
    arch: str = ''
    framework: str = ''

    def __str__(self) -> str:
        return f'{self.name} v{self.version} ({self.tier})'


@dataclass(frozen=True)
class Result:
    """See the module. Paths in `units` and `pictures` are names beside the JSON file."""

    name: str  # of the checkpoint, for people: 'simmim', 'random init'
    checkpoint: Checkpoint | None
    method: str
    architecture: str
    task: str
    protocol: Protocol
    metrics: dict[str, float]  # percent
    primary: str  # the metric that stands for the task
    seed: int
    cost: dict[str, float]  # seconds, train_seconds, eval_seconds, peak_memory_mib, ..._per_second
    versions: dict[str, str]
    data: dict[str, Any]  # name, root, fingerprint, train, val
    config_sha256: str  # of the whole config, paths left out
    protocol_sha256: str  # of the same without the backbone: what results are compared under
    backbone_sha256: str  # of the backbone's options without its weights
    changes: dict[str, Any] = field(default_factory=dict)  # options changed against the recipe
    run: dict[str, Any] = field(default_factory=dict)  # date, command, cpu, gpus, threads, ...
    units: str | None = None
    pictures: tuple[str, ...] = ()
    robustness: Robustness | None = None
    schema: int = field(default=SCHEMA, kw_only=True)

    def __post_init__(self) -> None:
        """Raises ValueError naming the field."""
        if self.schema != SCHEMA:
            raise ValueError(f'schema is {self.schema}, this mimbench reads {SCHEMA}')
        for key in ('name', 'method', 'architecture', 'task', *DIGESTS):
            if not isinstance(getattr(self, key), str) or not getattr(self, key):
                raise ValueError(f'{key} must be a text that is not empty')
        if self.protocol.task != self.task:
            raise ValueError(f'task is {self.task!r}, its protocol is of {self.protocol.task!r}')
        known = (*TIERS, ELSEWHERE)
        if self.protocol.tier not in known:
            raise ValueError(f'protocol.tier is {self.protocol.tier!r}, known: {", ".join(known)}')
        if self.primary not in self.metrics:
            raise ValueError(f'primary is {self.primary!r}, which metrics does not hold')
        _check_numbers('metrics', self.metrics)
        _check_numbers('cost', self.cost)
        if not isinstance(self.seed, int):
            raise ValueError(f'seed is {self.seed!r}, expected an integer')
        for key in ('name', 'fingerprint'):
            if not isinstance(self.data.get(key), str) or not self.data[key]:
                raise ValueError(f'data must hold name and fingerprint, both texts; {key} is not')
        for key, value in asdict(self.protocol).items():
            if not isinstance(value, str):
                raise ValueError(f'protocol.{key} is {value!r}, expected a text')
        for name in self.files:
            if Path(name).name != name:
                raise ValueError(f'{name!r} must be a plain file name beside the result')
        for levels in self.robustness.scores.values() if self.robustness else ():
            for metrics in levels.values():
                _check_numbers('robustness', metrics)
                if metrics.keys() != self.metrics.keys():
                    raise ValueError('robustness has not the metrics of the clean pictures')
        for metrics in self.robustness.shifts.values() if self.robustness else ():
            _check_numbers('robustness', metrics)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of what belongs to it."""
        halves = self.robustness.halves if self.robustness else None
        return (*self.pictures, *(name for name in (self.units, halves) if name))

    @property
    def protocol_text(self) -> str:
        """The protocol for people; a changed option never goes under the unchanged name."""
        changes = ', '.join(f'{key}={value}' for key, value in self.changes.items())
        return f'{self.protocol}, changed: {changes}' if changes else str(self.protocol)

    @property
    def stem(self) -> str:
        """File name without ending; the same evaluation has the same stem."""
        digest = self.checkpoint.sha256[:8] if self.checkpoint else 'none'
        protocol = f'{self.protocol.name}-v{self.protocol.version}'
        content = f'{self.config_sha256} {self.data["fingerprint"]}'
        ran = hashlib.sha256(content.encode()).hexdigest()[:8]
        parts = (self.name, digest, self.task, protocol, ran, f'seed{self.seed}')
        return '.'.join(re.sub(r'[^A-Za-z0-9_-]+', '-', part).strip('-') for part in parts)


@dataclass(frozen=True)
class StoredResult:
    """A result read from a folder."""

    path: Path
    result: Result

    def beside(self, name: str) -> Path:
        return self.path.parent / name


def write_result(
    folder: Path,
    result: Result,
    units: UnitScores | None = None,
    pictures: dict[str, bytes] | None = None,
    scored: Scored | None = None,
) -> Path:
    """Writes units and pictures, then the JSON that names them.

    Args:
        result: its `units`, `pictures` and `robustness` are filled in here.
        pictures: encoded images per short name, as {'truth.png': b'...'}.
        scored: under corruption.

    Raises:
        UserError: the folder cannot be written.
    """
    folder, stem = Path(folder), result.stem
    if units is not None:
        result = replace(result, units=units.save(folder / f'{stem}.units.npz').name)
    if scored is not None:
        robustness = scored.robustness
        if scored.rows:
            path = save_halves(folder / f'{stem}.robustness.npz', scored.rows)
            robustness = replace(robustness, halves=path.name)
        result = replace(result, robustness=robustness)
    for name, content in (pictures or {}).items():
        path = write_bytes_atomically(folder / f'{stem}.{name}', content)
        result = replace(result, pictures=(*result.pictures, path.name))
    text = json.dumps(asdict(result), indent=2, ensure_ascii=False) + '\n'
    return write_bytes_atomically(folder / f'{stem}.json', text.encode())


def read_result(path: Path) -> StoredResult:
    """Reads and checks one result.

    Raises:
        UserError: not JSON, not a result, or a file it names is missing; says which file.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f'{path}: larger than any result; take it out of the folder')
        content = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror})') from error
    # JSONDecodeError and UnicodeDecodeError are ValueErrors
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path}: not JSON ({error}); delete it or evaluate again') from error
    try:
        result = _from_json(content)
    except (TypeError, ValueError) as error:
        raise UserError(f'{path}: not a result ({error}); delete it or evaluate again') from error
    stored = StoredResult(path, result)
    for name in result.files:
        if not stored.beside(name).is_file():
            raise UserError(f'{path}: names {name}, which is not beside it; copy it there')
        # A folder may be made of links to results elsewhere, each with what belongs to it.
        homes = (path.resolve().parent, path.parent.resolve())
        if stored.beside(name).resolve().parent not in homes:
            raise UserError(f'{path}: {name} is a link to another place; copy the file itself')
    return stored


def read_results(folder: Path) -> list[StoredResult]:
    """All results directly in a folder, by file name.

    Raises:
        UserError: no folder, no result in it, or a broken one.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f'{folder}: no such folder; give the folder `mimbench eval` wrote to')
    paths = sorted(folder.glob('[!.]*.json'))
    if not paths:
        raise UserError(f'{folder}: no result (*.json) in it; run `mimbench eval` first')
    return [read_result(path) for path in paths]


def load_units(path: Path) -> UnitScores:
    """Reads what `UnitScores.save` wrote, as the class that wrote it.

    Raises:
        UserError: the file is missing, broken, or of a kind that no installed task knows.
    """
    kind, names, arrays = read_arrays(path)
    kinds = {
        units.kind: units for task in tasks().values() if task.units for units in [task.units()]
    }
    if kind not in kinds:
        raise UserError(f'{path}: unknown kind of units {kind!r}; known: {", ".join(kinds)}')
    return kinds[kind].rebuild(path, names, arrays)


def _from_json(content: Any) -> Result:
    if not isinstance(content, dict):
        raise ValueError('expected an object')
    if content.get('schema') != SCHEMA:
        raise ValueError(f'schema is {content.get("schema")}, this mimbench reads {SCHEMA}')
    known = {f.name for f in fields(Result)}
    optional = {'units', 'pictures', 'robustness'}
    if content.keys() - known:
        raise ValueError(f'unknown: {", ".join(sorted(content.keys() - known))}')
    if known - optional - content.keys():
        raise ValueError(f'missing: {", ".join(sorted(known - optional - content.keys()))}')
    _check_texts(content)
    content = dict(content)
    for key in ('metrics', 'cost', 'versions', 'data', 'protocol', 'changes', 'run'):
        if not isinstance(content[key], dict):
            raise ValueError(f'{key} must be an object')
    if content['checkpoint'] is not None:
        content['checkpoint'] = Checkpoint(**content['checkpoint'])
    content['protocol'] = Protocol(**content['protocol'])
    content['pictures'] = tuple(content.get('pictures', ()))
    if content.get('robustness') is not None:
        content['robustness'] = Robustness(**content['robustness'])
    return Result(**content)


def _check_texts(content: Any) -> None:
    """Raises ValueError for what would move a terminal's cursor."""
    parts = [content]
    while parts:
        part = parts.pop()
        if isinstance(part, str) and CONTROL.search(part):
            raise ValueError(f'{part[:40]!r} holds control characters')
        if isinstance(part, dict):
            parts += [*part, *part.values()]
        elif isinstance(part, list):
            parts += part


def _check_numbers(key: str, numbers: dict[str, float]) -> None:
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f'{key}.{name} is {value!r}, expected a number')
        if not -sys.float_info.max <= value <= sys.float_info.max:  # nan is neither
            raise ValueError(f'{key}.{name} is {value}')
