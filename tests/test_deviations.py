"""docs/deviations.md and the recipes: each is listed, and what the tables say is so."""

import ast
import re
from fnmatch import filter as matching
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config, DictAction

from mim_backbones.training.config import read_config

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / 'docs/deviations.md').read_text()
RECIPES = {
    path.stem: path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts
}
QUOTED = re.compile(r'`([^`]+)`')


def rows(title: str) -> list[list[str]]:
    """Cells of the table below a heading."""
    section = TEXT.partition(f'## {title}\n')[2].partition('\n## ')[0]
    lines = [line for line in section.splitlines() if line.startswith('|')]
    assert len(lines) > 2, f'no table below {title}'
    return [[cell.strip() for cell in line.strip('|').split(' | ')] for line in lines[2:]]


def named(cell: str) -> list[str]:
    """The recipes of a cell; `upernet_*` stands for all that match, and there must be some."""
    found = []
    for pattern in QUOTED.findall(cell):
        found += sorted(matching(RECIPES, pattern)) if '*' in pattern else [pattern]
        assert '*' not in pattern or matching(RECIPES, pattern), pattern
    return found


@cache
def recipe(name: str) -> Config:
    return read_config(RECIPES[name])


def cases(title: str, *columns: int) -> list[Any]:
    """(recipe, cells) for every recipe of every row."""
    return [
        pytest.param(name, *(row[c] for c in columns), id=f'{name}: {row[columns[0]][:70]}')
        for row in rows(title)
        for name in named(row[0])
    ]


def switch(cell: str) -> tuple[str, Any]:
    """`key=value` as `--cfg-options` takes it."""
    (text,) = QUOTED.findall(cell)
    key, _, value = text.partition('=')
    return key, DictAction._parse_iterable(value)


def at(cfg: Config, key: str) -> Any:
    value: Any = cfg
    for part in key.split('.'):
        value = value[int(part)] if part.isdigit() else value[part]
    return list(value) if isinstance(value, tuple) else value


DIFFERS, REPEATS, OWN = 'What still differs', 'What the recipes repeat', 'Recipes without a release'
REPEATS = f'{REPEATS} although another way is open'


def listed(title: str) -> set[str]:
    return {name for row in rows(title) for name in named(row[0])}


def test_every_recipe_is_listed_and_none_beside() -> None:
    assert listed(DIFFERS) | listed(REPEATS) | listed(OWN) == set(RECIPES)
    assert not listed(OWN) & (listed(DIFFERS) | listed(REPEATS))


@pytest.mark.parametrize('name', sorted(RECIPES))
def test_a_recipe_of_a_release_names_the_table_in_its_header(name) -> None:
    header = ast.get_docstring(ast.parse(RECIPES[name].read_text()))
    assert ('docs/deviations.md' in header) == (name not in listed(OWN))


@pytest.mark.parametrize(('name', 'cell'), cases(DIFFERS, 3))
def test_a_switch_is_there_and_not_yet_as_in_the_release(name, cell) -> None:
    if cell == 'none':
        return
    key, released = switch(cell)
    assert at(recipe(name), key) != released
    assert at(read_config(RECIPES[name], {key: released}), key) == released


@pytest.mark.parametrize(('name', 'released', 'other'), cases(REPEATS, 2, 3))
def test_the_recipe_has_the_value_of_the_release(name, released, other) -> None:
    key, value = switch(released)
    assert at(recipe(name), key) == value
    if other != 'none':
        same_key, instead = switch(other)
        assert same_key == key and instead != value
        assert at(read_config(RECIPES[name], {key: instead}), key) == instead


@pytest.mark.parametrize('name', sorted(path for path in RECIPES))
def test_a_recipe_decodes_exactly(name) -> None:
    dataset = recipe(name).train_dataloader.dataset
    assert dataset.get('decode', 'exact') == 'exact'
