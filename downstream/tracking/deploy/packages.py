"""What the extra `deploy` brings, imported when it is needed."""

from importlib import import_module
from types import ModuleType

from mim_backbones.errors import UserError


def need(name: str) -> ModuleType:
    """The module; UserError where it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] != name.partition('.')[0]:
            raise
        raise UserError(
            f"{name.partition('.')[0]} is not installed; pip install 'mimbench[deploy]' brings it"
        ) from error
