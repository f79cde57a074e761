"""The folder of an exported tracker: two graphs and `tracker.json`, which says how to run them."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from downstream.tracking.tracker import Locator
from mim_backbones.console.atomic_file import write_bytes_atomically
from mim_backbones.errors import UserError

MANIFEST = 'tracker.json'
FORMAT = 1
# What a tracker reads of its model beside the two graphs.
SETTINGS = tuple(Locator.__annotations__)
ENDINGS = {'onnx': '.onnx', 'openvino': '.xml', 'torchscript': '.pt'}


@dataclass(frozen=True)
class Manifest:
    """What `tracker.json` holds.

    runtime: one of ENDINGS. precision: one of `graphs.PRECISIONS`. settings: SETTINGS by name.
    asks_box: see `CentreTracker`. weights: name and SHA-256 of the file it was made from.
    versions: of the packages that made it.
    """

    runtime: str
    precision: str
    asks_box: bool
    settings: dict[str, Any]
    weights: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def graph_file(self, name: str) -> str:
        """File of the graph `template` or `search`."""
        return f'{name}{ENDINGS[self.runtime]}'


def settings_of(model: Locator) -> dict[str, Any]:
    return {name: getattr(model, name) for name in SETTINGS}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Written last: a folder with it is whole."""
    text = json.dumps(asdict(manifest), indent=1) + '\n'
    write_bytes_atomically(folder / MANIFEST, text.encode())


def read_manifest(folder: Path) -> Manifest:
    """UserError for a folder that holds no whole exported tracker, or one of another version."""
    path = folder / MANIFEST
    mend = 'write it again by `mimbench export tracker`'
    if not path.is_file():
        raise UserError(f'{folder}: no {MANIFEST} in it, so no exported tracker; {mend}')
    try:
        manifest = Manifest(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise UserError(f'{path}: no manifest of an exported tracker ({error}); {mend}') from error
    known = manifest.format == FORMAT and manifest.runtime in ENDINGS
    if not known or set(manifest.settings) != set(SETTINGS):
        raise UserError(f'{path}: written by another version of mimbench; {mend}')
    for name in ('template', 'search'):
        if not (folder / manifest.graph_file(name)).is_file():
            raise UserError(f'{folder}: {manifest.graph_file(name)} is missing; {mend}')
    return manifest
