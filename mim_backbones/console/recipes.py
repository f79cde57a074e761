"""Where the recipes lie: `configs/` of a checkout, or the copy that travels with the wheel."""

from pathlib import Path

import mim_backbones
from mim_backbones.errors import UserError

PACKAGE = Path(mim_backbones.__file__).resolve().parent


def recipes_root() -> Path:
    """The folder with `pretrain/`, `downstream/`, `data/` and `_base_/`.

    Raises:
        UserError: neither is there; the installation is broken.
    """
    for folder in (PACKAGE.parent / 'configs', PACKAGE / 'recipes'):
        if (folder / '_base_').is_dir():
            return folder
    raise UserError(f'no recipes beside or in {PACKAGE}; install mimbench again')
