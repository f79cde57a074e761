"""Where the recipes lie: `configs/` of a checkout, or the copy that travels with the wheel.

A recipe of another package names ours as its base by an environment variable, which mmengine fills
in and `open_config` sets: `_base_ = ['{{$MIMBENCH_RECIPES:configs}}/pretrain/simmim_demo.py']`.
"""

import ast
import re
from pathlib import Path

import yaml

from mim_backbones.console.options import nearest
from mim_backbones.errors import UserError

PACKAGE = Path(__file__).resolve().parent.parent
BASES = '_base_'
VARIABLE = 'MIMBENCH_RECIPES'
FILLED_IN = re.compile(r'\{\{\s*\$' + VARIABLE + r'\s*:[^}]*\}\}')


def recipes_root() -> Path:
    """The folder with `pretrain/`, `downstream/`, `data/` and `_base_/`.

    Raises:
        UserError: neither is there; the installation is broken.
    """
    for folder in (PACKAGE.parent / 'configs', PACKAGE / 'recipes'):
        if (folder / BASES).is_dir():
            return folder
    raise UserError(f'no recipes beside or in {PACKAGE}; install mimbench again')


def base_of(recipe: Path, base: str) -> Path:
    """The file that an entry of a recipe's `_base_` names."""
    return recipe.parent / FILLED_IN.sub(str(recipes_root()), base)


def bases_of(path: Path) -> list[str]:
    """The entries of a readable config's `_base_`, as they are written there."""
    if path.suffix == '.py':
        lines = ast.parse(path.read_text()).body
        values = [
            ast.literal_eval(line.value)
            for line in lines
            if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == BASES
        ]
        found = values[0] if values else []
    else:
        found = (yaml.safe_load(path.read_text()) or {}).get(BASES, [])
    return [found] if isinstance(found, str) else list(found)


def with_bases(path: Path) -> list[Path]:
    """The file and, recursively, the files of its `_base_`; nothing of a file that is not there."""
    if not path.is_file():
        return []
    bases = [base_of(path, base) for base in bases_of(path)]
    return [path, *(file for base in bases for file in with_bases(base))]


def recipe_names() -> list[str]:
    """Every recipe that came with mimbench, as `pretrain/simmim.py`.

    Raises:
        UserError: see `recipes_root`.
    """
    root = recipes_root()
    found = (path.relative_to(root) for path in root.rglob('*.py'))
    return sorted(path.as_posix() for path in found if BASES not in path.parts)


def find_recipe(word: str) -> Path:
    """The file that a word names: its path, from here or below the recipes, or its name alone.

    Raises:
        UserError: no such file, or several recipes of that name.
    """
    if Path(word).is_file():
        return Path(word)
    names = recipe_names()
    whole = word if word.endswith('.py') else f'{word}.py'
    ends = [name for name in names if name == whole or name.endswith(f'/{whole}')]
    fits = [name for name in ends if name == whole] or ends
    if len(fits) == 1:
        return recipes_root() / fits[0]
    if fits:
        raise UserError(f'config {word} is the name of several recipes: {", ".join(fits)}')
    stems = {name.rpartition('/')[2].removesuffix('.py') for name in names}
    raise UserError(f'config {word} does not exist{nearest(word, {*names, *stems})}')
