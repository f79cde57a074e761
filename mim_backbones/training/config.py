"""A config file, and what is wrong with it in one line, before anything is built.

Two traps of text configs end silently otherwise: a misspelt key, and a `--cfg-options` override
of a helper variable that the file has already used.
"""

import copy
import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mmengine.registry as root_registries
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry
from torch.utils.data import DataLoader

from mim_backbones.console.options import nearest
from mim_backbones.console.recipes import VARIABLE, base_of, recipes_root
from mim_backbones.errors import UserError
from mim_backbones.registry import WEIGHT_INITIALIZERS

# Read by mmengine's Runner straight from the config, beside its constructor's arguments.
RUNNER_EXTRAS = {
    'model_wrapper_cfg', 'find_unused_parameters', 'sync_bn', 'compile', 'custom_imports',
    'activation_checkpointing', 'efficient_conv_bn_eval', 'work_dir', 'cfg', 'protocol',
}  # fmt: skip
# Taken out of a typed dict by mmengine before the class is called.
BUILDER_KEYS = {
    'type', '_scope_', 'priority', 'constructor', 'paramwise_cfg', 'convert_to_iter_based',
    'by_epoch',
}  # fmt: skip
MODULE = re.compile(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)*')
LOADER_EXTRAS = {'num_batch_per_epoch', 'indices'}
REGISTERED = (
    r'model|model\.(backbone|neck|head|target)|optim_wrapper(\.optimizer)?|custom_hooks\.\d+'
    r'|(train|val|test)_dataloader\.(dataset|sampler)|(train|val|test)_cfg|param_scheduler\.\d+'
)
PLAIN_DICTS = {
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'randomness': {'seed', 'diff_rank_seed', 'deterministic'},
    'auto_scale_lr': {'enable', 'base_batch_size'},
}


def check_config(cfg: Config, option_keys: Iterable[str] = ()) -> None:
    """Check a whole config.

    Args:
        option_keys: dotted keys given on the command line.

    Raises:
        UserError: naming the first key that nothing reads, and the nearest one that is read.
    """
    from mmengine.runner import Runner  # takes a second, and readers of configs do without

    known = set(inspect.signature(Runner.__init__).parameters) - {'self'} | RUNNER_EXTRAS
    known |= {'default_scope'}
    for key in option_keys:
        if key.split('.')[0] not in known:
            raise UserError(
                f'--cfg-options {key}: nothing reads it once the file is parsed'
                f'{nearest(key.split(".")[0], known)}'
            )
    helpers = used_names(cfg.filename) if cfg.filename else set()
    for key in cfg:
        if key not in known | helpers:
            raise UserError(f'config key {key!r}: nothing reads it{nearest(key, known)}')
    loader_keys = set(inspect.signature(DataLoader.__init__).parameters) | LOADER_EXTRAS
    for path, node in walk(cfg._cfg_dict, ''):
        name = path.rpartition('.')[2]
        if path in PLAIN_DICTS:
            check_keys(path, node, PLAIN_DICTS[path], path)
        elif re.fullmatch(r'(train|val|test)_dataloader', path):
            check_keys(path, node, loader_keys, 'a dataloader')
        elif isinstance(node.get('type'), str) and name not in PLAIN_DICTS:
            check_typed(path, node, str(cfg.get('default_scope') or 'mmengine'))


def check_typed(path: str, node: Mapping[str, Any], scope: str) -> None:
    """A dict with a `type` may hold only what that class takes.

    A type nobody registered is refused where mmengine looks it up in a registry; elsewhere (the
    `nms` of a test_cfg, say) a type may name something else.
    """
    accepted: set[str] = set()
    builder_keys = set(BUILDER_KEYS)
    if path.endswith('.init_cfg'):  # our backbones take more than mmengine's own initializer
        builder_keys |= set(inspect.signature(WEIGHT_INITIALIZERS.get('Pretrained')).parameters)
    classes = find_classes(node['type'], scope)
    if not classes and re.fullmatch(REGISTERED, path):
        raise UserError(f'config key {path}: nothing is registered as {node["type"]!r}')
    for cls in classes:
        function = cls.__init__ if inspect.isclass(cls) else cls
        parameters = inspect.signature(function).parameters.values()
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return
        names = {p.name for p in parameters} - {'self'} | builder_keys
        if set(node) <= names:
            return
        accepted |= names
    if accepted:
        check_keys(path, node, accepted, node['type'])


def check_keys(path: str, node: Mapping[str, Any], known: set[str], reader: str) -> None:
    for key in node:
        if key not in known:
            raise UserError(
                f'config key {path}.{key}: {reader} does not read it{nearest(key, known)}'
            )


def find_classes(name: str, scope: str) -> list[Any]:
    """Classes registered as `name` in any of mmengine's registries; a name may be in several."""
    found = []
    with DefaultScope.overwrite_default_scope(scope):
        for registry in vars(root_registries).values():
            if isinstance(registry, Registry):
                with registry.switch_scope_and_registry(scope) as switched:
                    cls = switched.get(name)
                if cls is not None:
                    found.append(cls)
    return found


def walk(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every dict of a nested config with its dotted path."""
    if isinstance(node, Mapping):
        if path:
            yield path, node
        for key, value in node.items():
            yield from walk(value, f'{path}.{key}' if path else str(key))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from walk(value, f'{path}.{index}')


def used_names(filename: str) -> set[str]:
    """Names that a config file or its bases define and use again (helper variables)."""
    text = '\n'.join(path.read_text() for path in with_bases(Path(filename)))
    text = re.sub(r'#.*', '', text)
    defined = set(re.findall(r'^(\w+)\s*=', text, flags=re.MULTILINE))
    uses = re.sub(r'^\w+\s*=', '', text, flags=re.MULTILINE)
    return {name for name in defined if re.search(rf'\b{name}\b', uses)}


def with_bases(path: Path) -> list[Path]:
    """The file and, recursively, the files of its `_base_`."""
    if not path.is_file():
        return []
    match = re.search(r'^_base_\s*=\s*(\[[^\]]*\]|[\'"][^\'"]+[\'"])', path.read_text(), re.M)
    bases = re.findall(r'[\'"]([^\'"]+)[\'"]', match.group(1)) if match else []
    return [path, *(file for base in bases for file in with_bases(base_of(path, base)))]


def read_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """A text config with dotted overrides, checked for keys that nothing reads.

    Raises:
        UserError: no such file, not a config, an unknown key, an option that fits nothing.
    """
    cfg = merged(open_config(path), options or {})
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
