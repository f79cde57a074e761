"""What building a wheel does beyond setuptools: the recipes travel in it, as mim_backbones/recipes.

Named in pyproject.toml. An editable installation reads `configs/` of the checkout instead.
"""

import shutil
from pathlib import Path

from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ROOT / 'configs'


def recipe_files() -> list[Path]:
    """Every file of configs/, without what Python leaves behind."""
    return sorted(f for f in RECIPES.rglob('*') if f.is_file() and '__pycache__' not in f.parts)


class BuildWithRecipes(build_py):
    """Copies configs/ into the package; lists it, so that an sdist holds it too."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = self._target()
        shutil.rmtree(target, ignore_errors=True)  # an older build may have recipes since removed
        for file in recipe_files():
            copy = target / file.relative_to(RECIPES)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        copies = [str(self._target() / file.relative_to(RECIPES)) for file in recipe_files()]
        return super().get_outputs(include_bytecode) + ([] if self.editable_mode else copies)

    def get_source_files(self) -> list[str]:
        own = [Path(__file__), *recipe_files()]
        return super().get_source_files() + [str(file.relative_to(ROOT)) for file in own]

    def _target(self) -> Path:
        return Path(self.build_lib) / 'mim_backbones' / 'recipes'
