"""Keys of a config that nothing reads. mmengine drops them in silence, the misspelt ones too.

An error in our own recipes and those made from them, in our own parts wherever they stand, and on
the command line. A stock config of mmdet or mmseg, and what people make of one, has keys of its own
time and habits: there a warning that names the nearest key must do.
"""

import inspect
import io
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import mmengine.registry as root_registries
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry
from torch.utils.data import DataLoader

from mim_backbones.console.options import nearest
from mim_backbones.console.recipes import bases_of, recipes_root, with_bases
from mim_backbones.errors import UserError
from mim_backbones.registry import WEIGHT_INITIALIZERS

# Read by mmengine's Runner straight from the config, beside its constructor's arguments; the last
# line by OpenMMLab's tools and ours.
RUNNER_EXTRAS = {
    'model_wrapper_cfg', 'find_unused_parameters', 'sync_bn', 'compile', 'custom_imports',
    'activation_checkpointing', 'efficient_conv_bn_eval', 'work_dir', 'cfg', 'protocol',
    'tta_model', 'tta_pipeline', 'runner_type', 'wandb',
}  # fmt: skip
# Taken out of a typed dict by mmengine or mmcv before the class is called.
BUILDER_KEYS = {
    'type', '_scope_', 'priority', 'constructor', 'paramwise_cfg', 'convert_to_iter_based',
    'by_epoch', 'requires_grad',
}  # fmt: skip
LOADER_EXTRAS = {'num_batch_per_epoch', 'indices'}
REGISTERED = (
    r'model|model\.(backbone|neck|head|target)|optim_wrapper(\.optimizer)?|custom_hooks\.\d+'
    r'|(train|val|test)_dataloader\.(dataset|sampler)|(train|val|test)_cfg|param_scheduler\.\d+'
)
PLAIN_DICTS = {
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'randomness': {'seed', 'diff_rank_seed', 'deterministic'},
    'auto_scale_lr': {'enable', 'base_batch_size', 'rule'},
}
OUR_SCOPES = ('mim_backbones', 'pretrain', 'downstream')
# Whoever reads a key takes it by its name: `cfg.pop('bg_cls_weight')`, `cfg.bg_cls_weight`.
USE = r"""['".]{}\b"""


class Unread(NamedTuple):
    """A key that nothing reads.

    Attributes:
        path: dotted.
        text: the finding and the nearest key that is read.
        ours: the key stands in a part of ours.
    """

    path: str
    text: str
    ours: bool = False


def check_config(cfg: Config, option_keys: Iterable[str] = ()) -> None:
    """Check a whole config; a line on stderr for what may stay.

    Args:
        option_keys: dotted keys given on the command line.

    Raises:
        UserError: a type that nothing is registered as; or, where that is an error (see above),
            the first key that nothing reads.
    """
    given = list(option_keys)
    known = top_level_keys()
    for key in given:
        if key.split('.')[0] not in known:
            raise UserError(
                f'--cfg-options {key}: nothing reads it once the file is parsed'
                f'{nearest(key.split(".")[0], known)}'
            )
    path = Path(cfg.filename) if cfg.filename else None
    files = with_bases(path) if path else []
    strict = is_ours(cfg, files)
    helpers = used_names(files)
    unread = [key for key in cfg if key not in known | helpers]
    if unread:
        names = ', '.join(f'{key!r}{nearest(key, known)}' for key in unread)
        # A file without bases may be one that mmengine dumped, with the names of helpers in it.
        what = 'keys' if unread[1:] else 'key'
        report(
            f'config {what} {names}: nothing reads {"them" if unread[1:] else "it"}',
            strict and bool(path and bases_of(path)),
        )
    for found in unread_keys(cfg):
        on_command_line = any(f'{found.path}.'.startswith(f'{key}.') for key in given)
        report(found.text, strict or found.ours or on_command_line)


def report(line: str, error: bool) -> None:
    if error:
        raise UserError(line)
    if os.environ.get('RANK', '0') == '0':
        print(f'warning: {line}', file=sys.stderr)


def is_ours(cfg: Config, files: Iterable[Path]) -> bool:
    """Whether a config is a recipe of this project, made from one, or trains a model of ours.

    Args:
        files: the config and its bases.
    """
    root = recipes_root()
    if any(file.resolve().is_relative_to(root) for file in files):
        return True
    model = cfg.get('model') or {}
    return cfg.get('default_scope') in OUR_SCOPES or is_our_type(model.get('type'))


def is_our_type(name: Any) -> bool:
    return isinstance(name, str) and name.partition('.')[0] in OUR_SCOPES and '.' in name


def top_level_keys() -> set[str]:
    from mmengine.runner import Runner  # takes a second, and readers of configs do without

    arguments = set(inspect.signature(Runner.__init__).parameters) - {'self'}
    return arguments | RUNNER_EXTRAS | {'default_scope'}


def unread_keys(cfg: Config) -> Iterator[Unread]:
    """Every key below the top level that nothing reads.

    Raises:
        UserError: a type that nothing is registered as, where mmengine looks it up in a registry;
            elsewhere (the `nms` of a test_cfg, say) a type may name something else.
    """
    loader_keys = set(inspect.signature(DataLoader.__init__).parameters) | LOADER_EXTRAS
    scope = str(cfg.get('default_scope') or 'mmengine')
    find = finder(scope)
    for path, parents in walk(cfg._cfg_dict, '', ()):
        node = parents[-1]
        name = path.rpartition('.')[2]
        if path in PLAIN_DICTS:
            yield from beyond(path, node, PLAIN_DICTS[path], path)
        elif re.fullmatch(r'(train|val|test)_dataloader', path):
            yield from beyond(path, node, loader_keys, 'a dataloader')
        elif isinstance(node.get('type'), str) and name not in PLAIN_DICTS:
            yield from unread_by_type(path, parents, find)


def unread_by_type(
    path: str,
    parents: tuple[Mapping[str, Any], ...],
    find: Callable[[str], Sequence[Any]],
) -> Iterator[Unread]:
    """Keys of a typed dict that neither its class takes nor a class around it.

    Args:
        parents: the dicts around it, outermost first, and itself.
        find: classes of a name.
    """
    node = parents[-1]
    classes = find(node['type'])
    if not classes and re.fullmatch(REGISTERED, path):
        raise UserError(f'config key {path}: nothing is registered as {node["type"]!r}')
    names = [arguments(cls) for cls in classes]
    if not names or None in names:
        return
    accepted: set[str] = set(BUILDER_KEYS).union(*(taken for taken in names if taken))
    if path.endswith('.init_cfg'):  # our backbones take more than mmengine's own initializer
        accepted |= set(inspect.signature(WEIGHT_INITIALIZERS.get('Pretrained')).parameters)
    around = [
        cls
        for parent in parents[:-1]
        if isinstance(parent.get('type'), str)
        for cls in find(parent['type'])
    ]
    ours = any(is_our_type(parent.get('type')) for parent in parents)
    for found in beyond(path, node, accepted, node['type'], ours):
        key = found.path.rpartition('.')[2]
        if ours or not any(uses(cls, key) for cls in around):
            yield found


def beyond(
    path: str, node: Mapping[str, Any], known: set[str], reader: str, ours: bool = False
) -> Iterator[Unread]:
    for key in node:
        if key not in known:
            text = f'config key {path}.{key}: {reader} does not read it{nearest(key, known)}'
            yield Unread(f'{path}.{key}', text, ours)


@cache
def arguments(cls: Any) -> frozenset[str] | None:
    """What a class or function takes by name; None for anything."""
    function = cls.__init__ if inspect.isclass(cls) else cls
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters) - {'self'}


@cache
def uses(cls: Any, key: str) -> bool:
    """Whether the source of a class, or of one it inherits from, takes a key out of a dict."""
    return any(re.search(USE.format(re.escape(key)), source) for source in sources(cls))


@cache
def sources(cls: Any) -> tuple[str, ...]:
    classes = inspect.getmro(cls) if inspect.isclass(cls) else (cls,)
    files = {getattr(sys.modules.get(one.__module__), '__file__', None) for one in classes}
    return tuple(Path(file).read_text() for file in files if file and file.endswith('.py'))


def finder(scope: str) -> Callable[[str], tuple[Any, ...]]:
    """Name -> classes registered so in any of mmengine's registries; a name may be in several."""
    with quiet(), DefaultScope.overwrite_default_scope(scope):
        registries = []
        for registry in vars(root_registries).values():
            if isinstance(registry, Registry):
                with registry.switch_scope_and_registry(scope) as switched:
                    registries.append(switched)

    @cache
    def find(name: str) -> tuple[Any, ...]:
        with quiet():
            found = [registry.get(name) for registry in registries]
        return tuple(cls for cls in found if cls is not None)

    return find


@contextmanager
def quiet() -> Iterator[None]:
    """mmengine warns of registries that a package lacks; mm packages say what they go without."""
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def walk(
    node: Any, path: str, parents: tuple[Mapping[str, Any], ...]
) -> Iterator[tuple[str, tuple[Mapping[str, Any], ...]]]:
    """Every dict of a nested config: its dotted path, and the dicts around it with itself last."""
    if isinstance(node, Mapping):
        if path:
            parents = (*parents, node)
            yield path, parents
        for key, value in node.items():
            yield from walk(value, f'{path}.{key}' if path else str(key), parents)
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from walk(value, f'{path}.{index}', parents)


def used_names(files: Iterable[Path]) -> set[str]:
    """Names that a config file or its bases define and use again (helper variables)."""
    text = '\n'.join(path.read_text() for path in files)
    text = re.sub(r'#.*', '', text)
    defined = set(re.findall(r'^(\w+)\s*=', text, flags=re.MULTILINE))
    uses = re.sub(r'^\w+\s*=', '', text, flags=re.MULTILINE)
    return {name for name in defined if re.search(rf'\b{name}\b', uses)}
