"""Where the data is: one small YAML for everything that reads images.

    pretrain:     {root: imagenet/train}
    detection:    {root: coco}
    segmentation: {root: ade/ADEChallengeData2016, classes: ade20k, reduce_zero_label: true}
    tracking:     {root: lasot}

A section for pre-training and one for each task (entry points `mimbench.tasks`), whose dataclass
`Task.data` says what it may hold. A section is read, and its files looked for, when a command asks
for it: one YAML serves everybody who has some of its data sets.

Relative roots start at the YAML's folder; `${VAR}` and `${VAR:-default}` are expanded. A folder
that holds a `data.yaml` may be given instead of the file; one without is of images to pre-train on.
"""

import importlib
import io
import os
import re
import reprlib
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from mim_backbones.console.plugins import load_plugin, plugins
from mim_backbones.errors import UserError

PRETRAIN = 'pretrain'
TASKS = 'mimbench.tasks'
# Where class lists are looked up by name, the first that knows it.
LISTS = ('mmseg', 'mmdet')
IMAGES = ('.jpg', '.jpeg', '.png')


@dataclass(frozen=True)
class PretrainData:
    """A folder tree of JPEG or PNG images, unlabelled."""

    root: Path


class DataSpec(Mapping[str, Any]):
    """The data sets of one YAML: `spec['detection']` is that task's data section.

    Args:
        file: the YAML, for messages and relative roots.
        sections: name -> what the YAML says there, or a section as it is to be.
    """

    def __init__(self, file: Path, sections: Mapping[str, Any]) -> None:
        self.file = file
        self.sections = dict(sections)

    def __getitem__(self, name: str) -> Any:
        """The section.

        Raises:
            KeyError: the YAML does not name it; see `require`.
            UserError: an unknown or missing key, or a file or folder of the layout that is not
                there; names what was looked for and what was found.
        """
        values = self.sections[name]
        if not is_dataclass(values):
            self.sections[name] = values = _section(self.file, name, values)
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self.sections)

    def __len__(self) -> int:
        return len(self.sections)


def load_data_spec(path: str | Path) -> DataSpec:
    """Read a data YAML, or the `data.yaml` of a folder; a folder without is of images to pre-train.

    Raises:
        UserError: no such file, no YAML, or a section of a task that is not installed.
    """
    path = Path(path)
    if path.is_dir() and not (path / 'data.yaml').is_file():
        if not any(file.suffix.lower() in IMAGES for file in path.rglob('*')):
            raise UserError(
                f'data folder {path} has neither a data.yaml nor images; '
                '`mimbench synth OUT` writes OUT/data.yaml'
            )
        return DataSpec(path, {PRETRAIN: PretrainData(path.resolve())})
    if path.is_dir():
        path = path / 'data.yaml'
    if not path.is_file():
        raise UserError(
            f'data file {path} does not exist; `mimbench synth OUT` writes OUT/data.yaml'
        )
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        raise UserError(f'data file {path} is not YAML: {" ".join(str(error).split())}') from error
    known = (PRETRAIN, *plugins(TASKS))
    if not isinstance(content, dict):
        raise UserError(f'data file {path} must map {", ".join(known)} to their data sets')
    unknown = next((name for name in content if name not in known), None)
    if unknown is not None:
        raise UserError(
            f'data file {path}: no installed task is called {reprlib.repr(unknown)}; '
            f'known: {", ".join(known)}'
        )
    return DataSpec(path, content)


def require(spec: DataSpec, section: str) -> Any:
    """The named section, checked.

    Raises:
        UserError: the YAML does not name it; else as `DataSpec`.
    """
    if section not in spec:
        raise UserError(f'data file {spec.file} names no {section} data; add a `{section}:` entry')
    return spec[section]


def class_list(name: str) -> tuple[str, ...]:
    """The class names of a data set that mmsegmentation or mmdetection knows: 'ade20k', 'coco'.

    Raises:
        UserError: neither package is installed, or none has such a data set; names those there are.
    """
    known: dict[str, tuple[str, ...]] = {}
    for package in reversed(LISTS):
        try:
            with redirect_stdout(io.StringIO()):  # they say there which data sets they go without
                datasets = importlib.import_module(f'{package}.registry').DATASETS
                importlib.import_module(f'{package}.datasets')
        except ImportError:
            continue
        for kind, cls in datasets.module_dict.items():
            classes = getattr(cls, 'METAINFO', {}).get('classes')
            if classes and kind.endswith('Dataset'):
                known[kind.removesuffix('Dataset').lower()] = tuple(classes)
    if name not in known:
        raise UserError(
            f'no data set {name!r} whose classes are known by name; write a list, or one of: '
            f'{", ".join(sorted(known)) or f"none, for want of {LISTS[0]}"}'
        )
    return known[name]


def _section(file: Path, name: str, values: Any) -> Any:
    kind = PretrainData if name == PRETRAIN else load_plugin(plugins(TASKS)[name]).data
    where = f'data file {file}: {name}'
    if not isinstance(values, dict):
        raise UserError(f'{where} must be a mapping with a root')
    known = {f.name for f in fields(kind)}
    unknown = set(values) - known
    if unknown:
        raise UserError(
            f'{where} has unknown {reprlib.repr(sorted(map(str, unknown)))}; known: {sorted(known)}'
        )
    needed = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    if needed - set(values):
        raise UserError(f'{where} lacks {sorted(needed - set(values))}')
    types = get_type_hints(kind)
    values = {key: _value(where, file, key, value, types[key]) for key, value in values.items()}
    section = kind(**values)
    for path in section.wanted() if hasattr(section, 'wanted') else [section.root]:
        if not path.exists():
            raise UserError(f'{name} data ({file}): {path} is not there; {_found_at(path.parent)}')
    return section


def _value(where: str, file: Path, key: str, value: Any, kind: Any) -> Any:
    """Paths are made whole, lists become tuples, a class list is looked up by its name.

    Raises:
        UserError: a value of another kind than the section's: "no" in quotes is a text, and true.
    """
    if Path in (kind, *get_args(kind)):
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise UserError(f'{where}: {key} must be a path, not {reprlib.repr(value)}')
        return (file.parent / _expand(str(value), file)).resolve()
    if key == 'classes' and isinstance(value, str):
        return class_list(value)
    if isinstance(value, list):
        value = tuple(one if isinstance(one, str) else reprlib.repr(one) for one in value)
    plain = get_origin(kind) or kind
    if plain in _KINDS and type(value) is not plain:
        raise UserError(f'{where}: {key} must be {_KINDS[plain]}, not {reprlib.repr(value)}')
    return value


_KINDS = {
    bool: 'true or false, without quotes',
    int: 'an integer',
    str: 'a text',
    tuple: 'a list',
}


def _expand(text: str, file: Path) -> str:
    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match['name']) or match['default']  # empty is unset, as in sh
        if found is None:
            raise UserError(f'data file {file}: environment variable {match["name"]} is not set')
        return found

    return re.sub(r'\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}', value, text)


def _found_at(folder: Path) -> str:
    """What there is in the nearest folder that is there."""
    while not folder.is_dir():
        folder = folder.parent
    names = sorted(p.name for p in folder.iterdir())
    shown = ', '.join(names[:6]) + (', ...' if len(names) > 6 else '')
    return f'{folder} holds: {shown or "nothing"}'
