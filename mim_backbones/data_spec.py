"""Where the data is: one small YAML for everything that reads images.

    pretrain:     {root: imagenet/train}
    detection:    {root: coco}
    segmentation: {root: ade/ADEChallengeData2016, classes: [wall, ...], reduce_zero_label: true}
    tracking:     {root: lasot}

Relative roots start at the YAML's folder; `${VAR}` and `${VAR:-default}` are expanded. A folder
that holds a `data.yaml` may be given instead of the file.
"""

import os
import re
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from mim_backbones.errors import UserError


@dataclass(frozen=True)
class PretrainData:
    """A folder tree of JPEG or PNG images, unlabelled."""

    root: Path


@dataclass(frozen=True)
class DetectionData:
    """COCO layout: image folders and instance JSONs under `root`."""

    root: Path
    train_images: str = 'train2017'
    train_annotations: str = 'annotations/instances_train2017.json'
    val_images: str = 'val2017'
    val_annotations: str = 'annotations/instances_val2017.json'


@dataclass(frozen=True)
class SegmentationData:
    """ADE20K layout: `images/SPLIT` and `annotations/SPLIT` under `root`.

    Attributes:
        classes: names in label order.
        ignore_index: label value left out of loss and score.
        reduce_zero_label: label 0 means unlabelled and class k is stored as k + 1 (ADE20K).
    """

    root: Path
    classes: tuple[str, ...]
    train: str = 'training'
    val: str = 'validation'
    ignore_index: int = 255
    reduce_zero_label: bool = False


@dataclass(frozen=True)
class TrackingData:
    """LaSOT layout: `CATEGORY/CATEGORY-N` under `root`, and a list file for each split."""

    root: Path
    train_list: str = 'training_set.txt'
    test_list: str = 'testing_set.txt'


@dataclass(frozen=True)
class DataSpec:
    """The data sets of one YAML; None for those it does not name."""

    file: Path
    pretrain: PretrainData | None = None
    detection: DetectionData | None = None
    segmentation: SegmentationData | None = None
    tracking: TrackingData | None = field(default=None)


SECTIONS = {
    'pretrain': PretrainData,
    'detection': DetectionData,
    'segmentation': SegmentationData,
    'tracking': TrackingData,
}
Section = TypeVar('Section', PretrainData, DetectionData, SegmentationData, TrackingData)


def load_data_spec(path: str | Path) -> DataSpec:
    """Read a data YAML, or the `data.yaml` of a folder.

    Only what every data set needs is checked here: known keys, and the files and folders of the
    layout being there.

    Raises:
        UserError: no such file, no YAML, an unknown or missing key, or a layout that is not
            there; names the folder looked for and what was found.
    """
    path = Path(path)
    if path.is_dir():
        path = path / 'data.yaml'
    if not path.is_file():
        raise UserError(
            f'data file {path} does not exist; `mimbench synth OUT` writes OUT/data.yaml'
        )
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(f'data file {path} is not YAML: {" ".join(str(error).split())}') from error
    if not isinstance(content, dict):
        raise UserError(f'data file {path} must map {", ".join(SECTIONS)} to their data sets')
    unknown = set(content) - set(SECTIONS)
    if unknown:
        raise UserError(
            f'data file {path}: unknown {sorted(unknown)}; known: {", ".join(SECTIONS)}'
        )
    sections: dict[str, Any] = {
        name: _section(path, name, SECTIONS[name], values) for name, values in content.items()
    }
    return DataSpec(file=path, **sections)


def require(spec: DataSpec, section: str) -> Any:
    """The named section.

    Raises:
        UserError: the YAML does not name it.
    """
    found = getattr(spec, section)
    if found is None:
        raise UserError(f'data file {spec.file} names no {section} data; add a `{section}:` entry')
    return found


def _section(file: Path, name: str, kind: type[Section], values: Any) -> Section:
    if not isinstance(values, dict):
        raise UserError(f'data file {file}: {name} must be a mapping with a root')
    known = {f.name for f in fields(kind)}
    unknown = set(values) - known
    if unknown:
        raise UserError(
            f'data file {file}: {name} has unknown {sorted(unknown)}; known: {sorted(known)}'
        )
    needed = {f.name for f in fields(kind) if f.default is MISSING}
    if needed - set(values):
        raise UserError(f'data file {file}: {name} lacks {sorted(needed - set(values))}')
    values = dict(values)
    values['root'] = (file.parent / _expand(str(values['root']), file)).resolve()
    if 'classes' in values:
        values['classes'] = tuple(str(c) for c in values['classes'])
    section = kind(**values)
    _check_layout(file, name, section)
    return section


def _expand(text: str, file: Path) -> str:
    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match['name']) or match['default']  # empty is unset, as in sh
        if found is None:
            raise UserError(f'data file {file}: environment variable {match["name"]} is not set')
        return found

    return re.sub(r'\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}', value, text)


def _check_layout(file: Path, name: str, section: Any) -> None:
    """Raises UserError for the first file or folder of the layout that is not there."""
    root: Path = section.root
    wanted = {
        'pretrain': [],
        'detection': ['train_images', 'train_annotations', 'val_images', 'val_annotations'],
        'segmentation': [],
        'tracking': ['train_list', 'test_list'],
    }[name]
    paths = [root, *(root / getattr(section, key) for key in wanted)]
    if isinstance(section, SegmentationData):
        paths += [
            root / kind / split
            for split in (section.train, section.val)
            for kind in ('images', 'annotations')
        ]
    for path in paths:
        if not path.exists():
            raise UserError(f'{name} data ({file}): {path} is not there; {_found_at(path.parent)}')


def _found_at(folder: Path) -> str:
    if not folder.is_dir():
        return f'nor is {folder}'
    names = sorted(p.name for p in folder.iterdir())
    shown = ', '.join(names[:6]) + (', ...' if len(names) > 6 else '')
    return f'{folder} holds: {shown or "nothing"}'
