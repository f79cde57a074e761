"""A whole method from a checkpoint: ours, or a released one whose names a method knows.

    file -> its record, or a recipe, or what a method reads from its shapes -> config without files
         -> model -> backbone by the dialects of `mim_backbones`, the rest by the method's own names

Nothing here knows a method by name: `Method.for_loading`, `described` and `own_names` do.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from torch import Tensor

from mim_backbones.checkpoints.agreement import refuse_broken
from mim_backbones.checkpoints.choose import choose_model
from mim_backbones.checkpoints.load import backbone_config, load_pretrained
from mim_backbones.checkpoints.report import LoadReport
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content, Source, open_source
from mim_backbones.errors import UserError
from mim_backbones.training.config import custom_imports_of, import_recorded, require_keys
from mim_backbones.training.launch import build_errors_in_one_line
from pretrain.methods.base import Method
from pretrain.registry import MODELS, build

DATASET = 'train_dataloader.dataset'


class LoadedMethod(NamedTuple):
    """A method ready to predict.

    Attributes:
        model: in eval mode.
        record: what is known of its training: `model`, and `masker` where there was one.
        missing: weights that predictions need and the checkpoint lacks; they are random.
    """

    model: Any
    record: dict[str, Any]
    missing: list[str]


def load_method(
    source: Source,
    config: Config | None = None,
    backbone: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> LoadedMethod:
    """The model of a checkpoint that tools/train.py wrote, or of another file.

    Args:
        config: a pre-training recipe, for files that neither say nor show what they hold.
        backbone: constructor arguments of the backbone in place of the recorded or inferred ones.
        options: of the method, where neither record nor shape tells.

    Raises:
        CheckpointError: unreadable, of no method known here, weights of other shapes than that
            method's, or a backbone that is not whole.
        UserError: the config is no recipe, or a part of it cannot be built.
    """
    content = open_source(source)
    given = {key: value for key, value in (backbone or {}).items() if value is not None}
    record = recorded(config) if config else content.record or {}
    import_recorded(record, content.name)
    if 'model' in record:
        changes = {key: value for key, value in given.items() if key != 'num_heads'}
        own = {**record['model']['backbone'], **changes, 'init_cfg': None}
        cls = method_class(record['model'].get('type'))
        arguments = cls.for_loading({**record['model'], 'backbone': own}, record.get('target', {}))
    else:
        arguments = described(content, given, dict(options or {}))
    with build_errors_in_one_line(str(config.filename)) if config else nullcontext():
        model = build(MODELS, arguments)
    exact = not given and config is None and 'model' in record
    missing = load_weights(model, content, exact, given.get('grid'))
    return LoadedMethod(model.eval(), record, missing)


def recorded(config: Config) -> dict[str, Any]:
    """What a checkpoint of this recipe would record.

    Raises:
        UserError: no pre-training recipe.
    """
    require_keys(config, 'pre-training recipe', 'model.type', 'model.backbone', DATASET)
    model, dataset = plain(config.model), plain(config.train_dataloader.dataset)
    found = {
        'model': model,
        'backbone': model['backbone'],
        'custom_imports': custom_imports_of(config),
    }
    return {**found, 'masker': dataset['masker']} if dataset.get('masker') else found


def plain(config: Any) -> Any:
    """A config as dicts, lists and scalars only, so that a checkpoint may carry it safely."""
    if isinstance(config, dict):
        return {str(key): plain(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [plain(value) for value in config]
    return config


def method_class(name: Any) -> type[Method]:
    """Raises UserError when no method of that name is known."""
    cls = MODELS.get(name) if isinstance(name, str) else None
    if not (isinstance(cls, type) and issubclass(cls, Method)):
        raise UserError(f'{name} is no pre-training method that is known here')
    return cls


def described(
    content: Content, backbone: dict[str, Any], options: dict[str, Any]
) -> dict[str, Any]:
    """The config of a file that records none, from the method that knows its names.

    Raises:
        CheckpointError: no method does.
    """
    MODELS.import_from_location()
    names = set(beside(content)[1])
    for cls in MODELS.module_dict.values():
        if isinstance(cls, type) and issubclass(cls, Method):
            found = cls.described(
                content, names, lambda: backbone_config(content, **backbone), options
            )
            if found is not None:
                return found
    raise CheckpointError(
        f'checkpoint {content.name} records no pre-training method; '
        'give one that tools/train.py wrote, or its recipe with --config'
    )


def beside(content: Content) -> tuple[str, dict[str, Tensor]]:
    """Prefix of the backbone's weights, and the other weights of its model without its prefix.

    Where the backbone has no prefix of its own, everything is beside it.
    """
    prefix = choose_model(content).prefix
    root = prefix.removesuffix('backbone.').removesuffix('encoder.')
    return prefix, {
        key.removeprefix(root): value
        for key, value in content.tensors.items()
        if key.startswith(root) and not (prefix != root and key.startswith(prefix))
    }


def left_out(content: Content, report: LoadReport) -> dict[str, Tensor]:
    """What the backbone's dialect found below its prefix and left out, under its model's names."""
    prefix = choose_model(content).prefix
    inside = next((part for part in ('backbone.', 'encoder.') if prefix.endswith(part)), '')
    keys = [key for keys in report.ignored.values() for key in keys]
    return {
        inside + key: content.tensors[prefix + key]
        for key in keys
        if prefix + key in content.tensors
    }


def load_weights(
    model: Method, content: Content, exact: bool, grid: tuple[int, int] | None = None
) -> list[str]:
    """Names of the weights that are not in the file.

    Args:
        exact: whether the file says what it holds: then nothing has to be made to fit.
        grid: of the backbone's position tables in the file, where they are not square.

    Raises:
        CheckpointError: see `load_method`.
    """
    report = load_pretrained(model.backbone, content, grid=grid)
    if exact and report.resized:
        name, how = next(iter(report.resized.items()))
        raise CheckpointError(f'checkpoint {content.name} is not what it records: {name} is {how}')
    state = beside(content)[1] | left_out(content, report)
    try:
        own = model.own_names(state)
        own = own if exact else model.fit_state(own)
    except (CheckpointError, ValueError) as error:
        raise CheckpointError(f'checkpoint {content.name}: {error}') from error
    wanted = {k: v for k, v in model.state_dict().items() if not k.startswith('backbone.')}
    # A target that was left out leaves its weights behind.
    surplus = sorted(k for k in own.keys() - wanted.keys() if not k.startswith('target.'))
    surplus = [] if own is state else surplus
    if surplus:
        raise CheckpointError(f'checkpoint {content.name} holds {surplus[0]}, which has no place')
    for name in own.keys() & wanted.keys():
        if own[name].shape != wanted[name].shape:
            theirs, ours = (tuple(w.shape) for w in (own[name], wanted[name]))
            raise CheckpointError(f'checkpoint {content.name}: {name} is {theirs}, expected {ours}')
    refuse_broken({name: own[name] for name in own.keys() & wanted.keys()}, content.name)
    with torch.no_grad():
        for name in own.keys() & wanted.keys():
            wanted[name].copy_(own[name])
    token = ['backbone.mask_token'] if 'mask_token' in report.fresh else []
    unneeded = set(model.unneeded)
    return [*token, *(name for name in wanted if name not in own and name not in unneeded)]
