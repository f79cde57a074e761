"""Who may import whom, no circles between files, and names that a stranger can tell apart."""

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.metadata import EntryPoint, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    'mim_backbones': {'pretrain', 'downstream', 'tools'},
    'pretrain': {'downstream', 'tools'},
    'downstream': {'pretrain', 'tools'},
}
FILES = [path for package in FORBIDDEN for path in sorted((ROOT / package).rglob('*.py'))]
LOOSE_FILES = 8
DRAWERS = {'utils', 'util', 'misc', 'common', 'helpers', 'helper'}
# Endings that do not tell two names apart: job and jobs, fit and fitting, config_file and config.
# A tracker gives tracks and a masker masks: -er and -or make words of the field.
SUFFIXES = ('s', 'es', 'ed', 'ing', '_file', '_module', '_class', '_base', '_new',
            '_old', '_impl', r'_?\d')  # fmt: skip
HEAVY = {'torch', 'mmengine', 'mmcv', 'matplotlib', 'scipy', 'cv2'}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imported_names(path: Path) -> Iterator[str]:
    """Dotted names of every import of a file: of functions and TYPE_CHECKING blocks too.

    `from package import name` gives both package.name, in case that is a module, and package.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def import_graph(files: list[Path]) -> dict[str, set[str]]:
    """Module -> those of the same files that it imports, `from package import module` resolved."""
    modules = {module_name(path): path for path in files}

    def resolve(name: str) -> str:
        return name if name in modules else name.rpartition('.')[0]

    return {
        name: {resolve(found) for found in imported_names(path)} & set(modules) - {name}
        for name, path in modules.items()
    }


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """One shortest circle through each module that lies on any, every circle once."""
    found = {}
    for start in graph:
        paths, seen = [[start]], {start}
        while paths:
            path = paths.pop(0)
            if start in graph[path[-1]]:
                found.setdefault(frozenset(path), [*path, start])
                break
            for after in sorted(graph[path[-1]] - seen):
                seen.add(after)
                paths.append([*path, after])
    return list(found.values())


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_forbidden_import(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    assert not {name.split('.')[0] for name in imported_names(path)} & FORBIDDEN[package]


def test_no_import_circle() -> None:
    found = circles(import_graph(FILES))
    assert not found, 'import circles:\n' + '\n'.join(' -> '.join(circle) for circle in found)


def test_the_walk_sees_every_kind_of_import() -> None:
    graph = import_graph(FILES)
    # Within a function, below TYPE_CHECKING, and a module named by `from package import module`.
    assert 'mim_backbones.standins.torchvision_library' in graph['mim_backbones.standins.finders']
    assert 'mim_backbones.checkpoints.load' in graph['mim_backbones']
    assert 'mim_backbones.standins' in graph['mim_backbones']
    ring = {'a': {'b'}, 'b': {'c'}, 'c': {'a'}, 'd': {'a'}}
    assert circles(ring) == [['a', 'b', 'c', 'a']]


@pytest.mark.parametrize('package', FORBIDDEN)
def test_a_package_has_rooms_and_no_drawers(package: str) -> None:
    loose = [path.name for path in (ROOT / package).glob('*.py')]
    assert len(loose) <= LOOSE_FILES, sorted(loose)
    assert not {p.stem for p in (ROOT / package).rglob('*.py')} & DRAWERS


def bare(name: str) -> str:
    """A name without the ending that would not tell it from another."""
    return re.sub(f'({"|".join(SUFFIXES)})$', '', name)


def alike(names: list[str]) -> list[set[str]]:
    """Groups of names that are equal, or differ only in such an ending."""
    groups = defaultdict(list)
    for name in names:
        groups[name].append(name)
    for name in set(names):
        if bare(name) in groups and bare(name) != name:
            groups[bare(name)].append(name)
    return [set(group) for group in groups.values() if len(group) > 1]


@pytest.mark.parametrize('package', FORBIDDEN)
def test_no_two_files_of_a_folder_have_nearly_one_name(package: str) -> None:
    folders = defaultdict(list)
    for path in (ROOT / package).rglob('*.py'):
        folders[path.parent].append(path.stem)
    twins = {
        str(f.relative_to(ROOT)): pairs for f, names in folders.items() if (pairs := alike(names))
    }
    assert not twins


@pytest.mark.parametrize('package', FORBIDDEN)
def test_no_two_classes_of_a_package_have_nearly_one_name(package: str) -> None:
    names = [
        node.name
        for path in (ROOT / package).rglob('*.py')
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith('_')
    ]
    assert not {name for name, count in Counter(names).items() if count > 1}
    assert not alike(names)


def test_packages_without_a_downstream_stack() -> None:
    """mim_backbones and pretrain never need mmdet, mmseg or mmcv."""
    code = (
        'import sys\n'
        'sys.modules.update(dict.fromkeys(["mmdet", "mmseg", "mmcv"]))\n'  # None: import fails
        'from mim_backbones.registry import MODELS\n'
        'from pretrain.registry import MODELS as P\n'
        'assert MODELS.get("MIMViT") and P.get("SimMIM")\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def our_plugins() -> list[EntryPoint]:
    """Every entry point of this project: commands, sub-commands, tasks."""
    points = distribution('mimbench').entry_points
    return [point for point in points if point.group.startswith('mimbench.')]


def test_entry_points_import_nothing_heavy() -> None:
    """`--help` and the completion of a shell import all of them."""
    modules = ['mim_backbones.console.cli', *(point.module for point in our_plugins())]
    assert len(modules) > 10
    code = (
        'import importlib, sys\n'
        f'for module in {modules!r}:\n'
        '    importlib.import_module(module)\n'
        f'    heavy = {HEAVY!r} & set(sys.modules)\n'
        '    assert not heavy, (module, heavy)\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
