"""Recipes are found by path, below the recipes, and by name alone."""

from pathlib import Path

import pytest

from mim_backbones.console import recipes
from mim_backbones.console.recipes import find_recipe, recipe_names, recipes_root
from mim_backbones.errors import UserError


@pytest.mark.parametrize('name', recipe_names())
def test_every_recipe_is_found_from_any_folder(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = recipes_root() / name
    assert expected.is_file()
    assert find_recipe(name) == find_recipe(name.removesuffix('.py')) == expected


def test_a_name_alone_a_file_of_ones_own_and_neither(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe('simmim').name == 'simmim.py'
    Path('mine.py').write_text('model = None\n')
    assert find_recipe('mine.py') == Path('mine.py')
    with pytest.raises(UserError, match="config simmm does not exist; did you mean 'simmim'"):
        find_recipe('simmm')


def test_a_name_of_two_recipes_is_refused(tmp_path, monkeypatch) -> None:
    for folder in ('_base_', 'a', 'b'):
        (tmp_path / 'recipes' / folder).mkdir(parents=True)
        (tmp_path / 'recipes' / folder / 'same.py').touch()
    monkeypatch.setattr(recipes, 'PACKAGE', tmp_path)
    with pytest.raises(UserError, match=r'several recipes: a/same\.py, b/same\.py'):
        find_recipe('same')
    assert find_recipe('b/same').parent.name == 'b'
    monkeypatch.setattr(recipes, 'PACKAGE', tmp_path / 'a')
    with pytest.raises(UserError, match='install mimbench again'):
        find_recipe('same')
