"""A config file, and what is wrong with it in one line, before anything is built."""

import copy
import os
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config, ConfigDict
from mmengine.fileio import YamlHandler, register_handler

from mim_backbones.console.recipes import VARIABLE, recipes_root
from mim_backbones.errors import UserError
from mim_backbones.training.unread_keys import check_config

MODULE = re.compile(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)*')


class PlainLoader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):  # type: ignore[misc]
    """Texts, numbers, lists and mappings, and the tuples that mmengine writes."""


PlainLoader.add_constructor(
    'tag:yaml.org,2002:python/tuple',
    lambda loader, node: tuple(loader.construct_sequence(node, deep=True)),  # type: ignore
)


@register_handler(['yaml', 'yml'])
class PlainYaml(YamlHandler):
    """mmengine's reader of YAML, which makes any Python object a tag asks for, kept to data."""

    def load_from_fileobj(self, file: Any, **options: Any) -> Any:
        return yaml.load(file, Loader=PlainLoader)


def read_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """A text config with dotted overrides, checked for keys that nothing reads.

    Raises:
        UserError: no such file, not a config, an unknown key, an option that fits nothing.
    """
    cfg = merged(open_config(path), options or {})
    join_wandb(cfg)
    check_config(cfg, options or ())
    return cfg


def merged(cfg: Config, options: Mapping[str, Any], where: str = '--cfg-options') -> Config:
    """The config with dotted keys overridden, in place; `options` stay as they are.

    Args:
        where: the options come from, for messages.

    Raises:
        UserError: an option that fits nothing in the config.
    """
    try:
        cfg.merge_from_dict(copy.deepcopy(dict(options)))  # merging empties `_delete_` entries
    except (KeyError, TypeError) as error:
        raise UserError(f'{where}: {" ".join(str(error).split())}') from error
    return cfg


def join_wandb(cfg: Config) -> None:
    """Turn the key `wandb` of configs/_base_/wandb.py into one more backend of the visualizer.

    A key of its own, because two files of one `_base_` list cannot say the same key.
    """
    init_kwargs = cfg.pop('wandb', None)
    if init_kwargs is not None:
        visualizer = cfg.setdefault('visualizer', ConfigDict(type='Visualizer'))
        backend = ConfigDict(type='WandbVisBackend', init_kwargs=init_kwargs)
        visualizer.vis_backends = [*(visualizer.get('vis_backends') or ()), backend]


def open_config(path: str | Path) -> Config:
    """A config file as it stands, whoever wrote it for whatever.

    Raises:
        UserError: no such file, or reading it fails.
    """
    if not Path(path).is_file():
        raise UserError(f'config {path} does not exist')
    os.environ.setdefault(VARIABLE, str(recipes_root()))
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


def custom_imports_of(cfg: Config) -> list[str]:
    """Modules of the user's own that a config names in `custom_imports`."""
    names = (cfg.get('custom_imports') or {}).get('imports') or []
    return [names] if isinstance(names, str) else [str(name) for name in names]


def import_recorded(record: Mapping[str, Any] | None, checkpoint: str) -> list[str]:
    """Import again the modules that the recipe of a checkpoint named; returns those new here.

    To import is to run code, so a checkpoint can only name modules that are already installed
    where Python looks, none of the standard library (some act when imported), and a line on stderr
    says what was imported.

    Args:
        record: `meta.mimbench` of the checkpoint, with `custom_imports` from `custom_imports_of`.

    Raises:
        UserError: a module that is not installed or fails; names it.
    """
    names = (record or {}).get('custom_imports') or ()
    new = [name for name in map(str, names) if name not in sys.modules]
    for name in new:
        top = name.partition('.')[0]
        if not MODULE.fullmatch(name) or top in sys.stdlib_module_names or not find_spec(top):
            raise UserError(
                f'checkpoint {checkpoint}: its recipe imports {name!r}, which is not installed '
                'here; install the package that holds it'
            )
        try:
            import_module(name)
        except Exception as error:  # foreign code: whatever it raises, the module is what is wrong
            raise UserError(
                f'checkpoint {checkpoint}: its recipe imports {name!r}, which fails'
                f' here{reason(error)}'
            ) from error
    if new:
        print(f'checkpoint {checkpoint}: imported {", ".join(new)}, as its recipe', file=sys.stderr)
    return new
