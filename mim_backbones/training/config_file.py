"""A config file, and what is wrong with it in one line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from mim_backbones.errors import UserError
from mim_backbones.training.config_check import check_config


def read_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """A text config with dotted overrides, checked for keys that nothing reads.

    Raises:
        UserError: no such file, not a config, an unknown key, an option that fits nothing.
    """
    cfg = open_config(path)
    try:
        cfg.merge_from_dict(options or {})
    except (TypeError, KeyError) as error:
        raise UserError(f'--cfg-options: {" ".join(str(error).split())}') from error
    check_config(cfg, options or ())
    return cfg


def open_config(path: str | Path) -> Config:
    """A config file as it stands, whoever wrote it for whatever.

    Raises:
        UserError: no such file, or reading it fails.
    """
    if not Path(path).is_file():
        raise UserError(f'config {path} does not exist')
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is code: whatever it raises, the file is what is wrong
        raise UserError(f'config {path}{reason(error)}') from error


def reason(error: Exception) -> str:
    """Why a config cannot be read: the line where it is known, and one line of the message."""
    if isinstance(error, SyntaxError):
        return f', line {error.lineno}: {error.msg}'
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f', line {error.problem_mark.line + 1}: {error.problem}'
    message = str(error).strip().partition('\n')[0].strip()
    return f': {type(error).__name__}: {message}' if message else f': {type(error).__name__}'


def value_at(cfg: Config, key: str) -> Any:
    """The value of a dotted key; None where there is no such key."""
    node: Any = cfg._cfg_dict
    for name in key.split('.'):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def require_keys(cfg: Config, kind: str, *keys: str) -> None:
    """Raises UserError when a config lacks one of the dotted keys that every `kind` has."""
    missing = next((key for key in keys if value_at(cfg, key) is None), None)
    if missing is not None:
        raise UserError(f'config {cfg.filename} is no {kind}: it has no {missing}')
