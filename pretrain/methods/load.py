"""A whole masked-image model from a checkpoint: backbone, head and what the head predicts."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mim_backbones.checkpoints.load import load_pretrained
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content, open_source
from mim_backbones.errors import UserError
from mim_backbones.training.config_file import require_keys
from mim_backbones.training.launch import build_errors_in_one_line
from pretrain.hooks.guard import plain
from pretrain.methods.base import MaskedImageModel
from pretrain.methods.load_state import load_state
from pretrain.registry import MODELS, build

DATASET = 'train_dataloader.dataset'
RECORDED = {'model', 'backbone', 'masker', 'img_size'}
# Official names of SimMIM's linear head -> ours.
OFFICIAL_HEAD = {'decoder.0.weight': 'project.weight', 'decoder.0.bias': 'project.bias'}


class LoadedMethod(NamedTuple):
    """A method ready to predict.

    Attributes:
        model: in eval mode.
        record: its config, `masker` and `img_size`.
        missing: parameters that predictions need and the checkpoint lacks; they are random.
    """

    model: MaskedImageModel
    record: dict[str, Any]
    missing: list[str]


def load_method(checkpoint: str | Path, config: Config | None = None) -> LoadedMethod:
    """The model of a checkpoint that tools/train.py wrote, or of another file and a recipe.

    Args:
        config: a pre-training recipe, for files that do not say what they hold: published SimMIM
            checkpoints, or a backbone alone.

    Raises:
        CheckpointError: unreadable, says of no method what it is, weights of other shapes than
            that method's, or an encoder that is not whole.
        UserError: the config is no recipe, a part of it cannot be built, or the method predicts
            nothing that has colours.
    """
    content = open_source(checkpoint)
    record = recorded(config) if config else content.record or {}
    if not record.keys() >= RECORDED:
        raise CheckpointError(
            f'checkpoint {checkpoint} records no pre-training method; '
            'give one that tools/train.py wrote, or its recipe with --config'
        )
    check_drawable(record['model'])
    with build_errors_in_one_line(str(config.filename)) if config else nullcontext():
        model = build(MODELS, own_files_only(record, content))
    own = 'model' in (content.record or {})
    missing = load_own(model, content) if own else load_foreign(model, content)
    return LoadedMethod(model.eval(), record, missing)


def recorded(config: Config) -> dict[str, Any]:
    """What a checkpoint of this recipe would record.

    Raises:
        UserError: no recipe of a method that masks.
    """
    keys = 'model.type', 'model.backbone', *(f'{DATASET}.{key}' for key in ('masker', 'img_size'))
    require_keys(config, 'pre-training recipe', *keys)
    model, dataset = plain(config.model), plain(config.train_dataloader.dataset)
    return {'model': model, 'backbone': model['backbone'], **dataset}


def check_drawable(model: dict[str, Any]) -> None:
    """Raises UserError when predictions of this model have no colours."""
    method = MODELS.get(model['type'])
    target = MODELS.get(model.get('target', {}).get('type', 'PixelTarget'))
    if method is None or not issubclass(method, MaskedImageModel):
        raise UserError(f'{model["type"]} predicts no colours, so there is nothing to draw')
    if target is not None and not target.drawable:
        raise UserError(
            f'{model["type"]} on {target.__name__} predicts ids without colours, so there is '
            'nothing to draw'
        )


def own_files_only(record: dict[str, Any], content: Content) -> dict[str, Any]:
    """The model's config without files that training read and the checkpoint now replaces."""
    config = {**record['model'], 'backbone': {**record['backbone'], 'init_cfg': None}}
    colours = weights_of(content).get('target.palette')
    if colours is not None:
        config['target'] = {**config['target'], 'palette': len(colours)}
    return config


def weights_of(content: Content) -> dict[str, Any]:
    return {name.removeprefix('state_dict.'): value for name, value in content.tensors.items()}


def load_own(model: MaskedImageModel, content: Content) -> list[str]:
    """Load weights under our names; what is missing of the head or the mask token."""
    missing, _ = load_state(model, weights_of(content), content.name)
    encoder = [key for key in missing if not key.startswith('head.') and 'mask_token' not in key]
    if encoder:
        raise CheckpointError(
            f'checkpoint {content.name} lacks {encoder[0]} and {len(encoder) - 1} more; '
            'its encoder is not whole'
        )
    return missing


def load_foreign(model: MaskedImageModel, content: Content) -> list[str]:
    """Load a backbone of any dialect, and SimMIM's linear head where the file has one."""
    report = load_pretrained(model.backbone, content)
    names = {**OFFICIAL_HEAD, **{f'head.{name}': name for name in model.head.state_dict()}}
    found = {
        own: value
        for key, value in content.tensors.items()
        for name, own in names.items()
        if key == name or key.endswith(f'.{name}')
    }
    try:
        missing = model.head.load_state_dict(found, strict=False).missing_keys
    except RuntimeError as error:  # shapes
        why = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f'checkpoint {content.name}: its decoder is another: {why}'
        ) from error
    token = ['backbone.mask_token'] if 'mask_token' in report.fresh else []
    return [*token, *(f'head.{name}' for name in missing)]
