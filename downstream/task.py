"""A task: what a backbone is evaluated on, and everything the suite has to know of it.

A task is one object in the entry-point group `mimbench.tasks`. Command line, data YAML, results,
reports and ablations take their lists from here; nothing else names a task.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from mim_backbones.console.plugins import load_plugin, plugins
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from downstream.results.units import UnitScores

GROUP = 'mimbench.tasks'


@dataclass(frozen=True)
class DataCard:
    """What a result says of its data set.

    fingerprint: changes with the files' names, sizes or annotations.
    train, val: numbers of images or sequences.
    classes: names in label order, where the data set has classes; read once a command.
    notes: lines that `mimbench eval` prints at the start: what is scored otherwise than usual.
    """

    name: str
    root: str
    fingerprint: str
    train: int
    val: int
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """What a task found: metrics in percent, the unit scores behind them, PNG pictures by name.

    notes: lines for people: what was scored otherwise than usual.
    rules: the evaluator whose rules the metrics follow, where there are several.
    tables: numbers beside the metrics, as {'attributes': {'fast motion': {'AUC': 41.2}}}.
    """

    metrics: dict[str, float]
    units: 'UnitScores | None' = None
    pictures: dict[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rules: str = ''
    tables: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """What a result's `run` says of how it was scored."""
        about = {'rules': self.rules, 'tables': self.tables}
        return {key: value for key, value in about.items() if value}


@dataclass(frozen=True)
class Task:
    """One task. Importing the module that holds it must be light: no torch, no mm* package.

    Attributes:
        name: one word; also the name of its section in the data YAML.
        aliases: other words for it on the command line, such as its usual data set.
        data: dataclass of its data section; `root` is its first field.
        unit: what intervals draw from, in the plural: 'images'.
        metrics: key in a result -> how people call it, in the order of tables.
        headline: keys that sum the task up, the one that stands for it first; those that a
            result lacks are passed over.
        units: loads the class of its unit scores (`downstream.results.units.UnitScores`); None
            for a task without intervals.
        published: metric name of `published_results.csv` -> key.
        describe: data section -> DataCard; checks the data set, raises UserError.
        fit: (cfg, job, data section) -> None; puts data, classes and backbone into a protocol's
            config, in place.
        run: (runner, progress) -> Evaluation; scores the trained model.
        fit_data: (cfg, data section) -> None; the data and classes alone, in place: what `fit`
            does without a checkpoint, for tools/train.py; None where it takes no `--data`.
        score_predictions: (data section, file or folder) -> Evaluation of predictions that were
            made elsewhere, for `mimbench score`, raises UserError; None where it takes none.
        score_protocols: whose rules those may be scored by, the usual first; where there are any,
            `score_predictions` takes one as its third argument.
        shifts: data section -> further test sets of the same classes: their names, and what
            `test_dataloader.dataset.shifted` takes for each; None where there are none.
    """

    name: str
    data: type
    unit: str
    metrics: Mapping[str, str]
    headline: tuple[str, ...]
    describe: Callable[[Any], DataCard]
    fit: Callable[[Any, Any, Any], None]
    run: Callable[[Any, Any], Evaluation]
    units: Callable[[], 'type[UnitScores]'] | None = None
    fit_data: Callable[[Any, Any], None] | None = None
    score_predictions: Callable[..., Evaluation] | None = None
    score_protocols: tuple[str, ...] = ()
    shifts: Callable[[Any], Mapping[str, str]] | None = None
    aliases: tuple[str, ...] = ()
    published: Mapping[str, str] = field(default_factory=dict)

    def primary(self, metrics: Mapping[str, float]) -> str:
        """The metric that stands for the task among those a result has."""
        return next(key for key in self.headline if key in metrics)


@cache
def tasks() -> dict[str, Task]:
    """Every task by name, sorted.

    Raises:
        UserError: a task cannot be loaded, is not whole, or shares a word with another; names it.
    """
    found: dict[str, Task] = {}
    for name, point in plugins(GROUP).items():
        task = load_plugin(point)
        _check(task, name, point.value)
        for word in (name, *task.aliases):
            other = next((one for one in found.values() if word in (one.name, *one.aliases)), None)
            if other is not None:
                raise UserError(f'{word!r} names two tasks, {other.name} and {name}; rename one')
        found[name] = task
    return found


def task_names() -> dict[str, str]:
    """Every word that names a task -> its name."""
    return {word: task.name for task in tasks().values() for word in (task.name, *task.aliases)}


def find_task(word: str) -> Task:
    """The task of a name or alias.

    Raises:
        UserError: there is none.
    """
    names = task_names()
    if word not in names:
        raise UserError(f'no task {word!r}; known: {", ".join(sorted(names))}')
    return tasks()[names[word]]


def _check(task: Any, name: str, where: str) -> None:
    """A task that is not whole is found here, not after its first training."""
    for key in Task.__dataclass_fields__:
        if not hasattr(task, key):
            raise UserError(f'task {name!r} ({where}) has no {key}; see docs/extending.md')
    if task.name != name:
        raise UserError(f'task {name!r} ({where}) calls itself {task.name!r}; make them equal')
    for key in ('describe', 'fit', 'run', *(['units'] if task.units is not None else [])):
        if not callable(getattr(task, key)):
            raise UserError(f'task {name!r} ({where}): {key} cannot be called')
    if not is_dataclass(task.data) or fields(task.data)[0].name != 'root':
        raise UserError(
            f'task {name!r} ({where}): data must be a dataclass, `root` its first field'
        )
    stray = [key for key in task.headline if key not in task.metrics]
    if not task.headline or stray:
        raise UserError(f'task {name!r} ({where}): headline must name some of its metrics; {stray}')
