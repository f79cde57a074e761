"""Any released checkpoint -> a backbone, with a report, or one clear error.

    source -> content (one flat table) -> the backbone's own model -> dialect -> our key names
           -> fitted to the backbone's shapes -> loaded

The dialects are in `dialects/`, one source a file; shapes are read in `shapes/`.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mim_backbones.backbones.archs import hiera_size, swin_size, vit_size
from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.backbones.layers.pos_embed import BICUBIC, Grid, Resize
from mim_backbones.checkpoints.agreement import (
    check_family,
    check_scale,
    check_unseen,
    refuse_broken,
)
from mim_backbones.checkpoints.beyond import refuse_beyond, refuse_unclear
from mim_backbones.checkpoints.choose import Model, choose_model
from mim_backbones.checkpoints.dialects import recognise
from mim_backbones.checkpoints.dialects.base import Translated
from mim_backbones.checkpoints.fit import fit
from mim_backbones.checkpoints.report import LoadReport, refuse_gaps, report_of
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.shapes import architecture_arguments
from mim_backbones.checkpoints.shapes.hints import Hints
from mim_backbones.checkpoints.source import Content, Source, open_source
from mim_backbones.registry import MODELS, WEIGHT_INITIALIZERS
from mim_backbones.training.config import import_recorded

# Constructor arguments whose value 'none' (or None) says: I know the file has these, without them.
PARTS = {
    'rel_pos_bias': ('rel_pos_bias',),
    'decomposed_rel_pos': ('rel_pos_h', 'rel_pos_w'),
    'pos_embed': ('pos_embed',),
    'absolute_pos_embed': ('absolute_pos_embed',),
    'layer_scale': ('gamma_1', 'gamma_2'),
    'num_registers': ('register_tokens',),
}
SIZES = {'vit': vit_size, 'swin': swin_size, 'hiera': hiera_size}


@dataclass(frozen=True)
class Opened:
    """A checkpoint in our names, and what `arguments` had to guess of it."""

    model: Model
    translated: Translated
    guesses: list[str] = field(default_factory=list)


def load_pretrained(
    backbone: MIMBackbone,
    source: Source,
    strict: bool = True,
    trust: bool = False,
    weights: str = 'auto',
    leave_out: Sequence[str] = (),
    grid: Grid | None = None,
    mode: str | None = None,
    antialias: bool | None = None,
    offset: float | None = None,
) -> LoadReport:
    """Copy the weights of a checkpoint into a backbone, in place.

    Args:
        source: a file, `timm:NAME`, or a state dict (possibly still wrapped in a checkpoint dict).
        strict: raise when a parameter of the backbone stays uncovered, or weights find no place.
        trust: run whatever code the file's pickle asks for; only for files of your own.
        weights: 'ema' or 'plain' for files with averaged and plain weights; see `choose_model`.
        leave_out: parts of names to do without ('rel_pos_bias', 'gamma_1'), though the file has
            them.
        grid: patch grid (H, W) of the file's position tables, where they are not square.
        mode, antialias, offset: how absolute positions go to another grid, parts of
            `layers.pos_embed.Resize`; None: as the code that the file is from does it.

    Raises:
        CheckpointError: unreadable file, no tensors, another family or size, a backbone with
            parts that ours lack, or (strict) parameters left uncovered or weights without a place;
            the backbone is then unchanged.
    """
    opened = translate(open_source(source, trust), weights)
    check_unseen(backbone, opened.model, opened.translated.dialect)
    check_scale(backbone, opened.model, opened.translated.dialect)
    return load(backbone, opened, strict, leave_out, grid, given(mode, antialias, offset))


@WEIGHT_INITIALIZERS.register_module()
class Pretrained:
    """What `init_cfg=dict(type='Pretrained', checkpoint=FILE)` of a backbone names.

    Args:
        checkpoint: the source; None keeps the random start.
        others: see `load_pretrained`.
    """

    def __init__(
        self,
        checkpoint: Source | None = None,
        strict: bool = True,
        trust: bool = False,
        weights: str = 'auto',
        leave_out: Sequence[str] = (),
        grid: Grid | None = None,
        mode: str | None = None,
        antialias: bool | None = None,
        offset: float | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.options: dict[str, Any] = {
            'strict': strict, 'trust': trust, 'weights': weights, 'leave_out': leave_out,
            'grid': grid, **given(mode, antialias, offset),
        }  # fmt: skip

    def __call__(self, backbone: MIMBackbone) -> None:
        """Load and log the report; raises what `load_pretrained` raises."""
        if self.checkpoint is not None:
            load_pretrained(backbone, self.checkpoint, **self.options).log()


def from_checkpoint(
    source: Source,
    *,
    trust: bool = False,
    weights: str = 'auto',
    leave_out: Sequence[str] = (),
    grid: Grid | None = None,
    mode: str | None = None,
    antialias: bool | None = None,
    offset: float | None = None,
    **overrides: Any,
) -> tuple[MIMBackbone, LoadReport]:
    """Build the backbone a checkpoint holds, and load it.

    The backbone is made for the image size of the file's tables unless `img_size` says another,
    and its positions go to other sizes at run time as they do here.

    Args:
        trust, weights, leave_out, grid, mode, antialias, offset: see `load_pretrained`.
        overrides: constructor arguments that replace the inferred ones (img_size, out_indices,
            drop_path_rate, rel_pos_bias='none', ...); `num_heads` where shapes do not show it.

    Raises:
        CheckpointError: as `load_pretrained`, or the number of heads has to be given, or an
            override contradicts the file or is none the backbone takes.
    """
    opened = translate(open_source(source, trust), weights)
    asked = given(mode, antialias, offset)
    backbone = build(arguments(opened, overrides, grid, asked), opened)
    without = [part for key, parts in PARTS.items() for part in parts if absent(overrides, key)]
    return backbone, load(backbone, opened, True, [*leave_out, *without], grid, asked)


def backbone_config(
    source: Source,
    *,
    trust: bool = False,
    weights: str = 'auto',
    grid: Grid | None = None,
    mode: str | None = None,
    antialias: bool | None = None,
    offset: float | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Registry type and constructor arguments of the backbone a checkpoint holds.

    It takes what `from_checkpoint` takes.

    Raises:
        CheckpointError: as `from_checkpoint`.
    """
    opened = translate(open_source(source, trust), weights)
    return arguments(opened, overrides, grid, given(mode, antialias, offset))


def translate(content: Content, weights: str = 'auto') -> Opened:
    """Content in our key names.

    Raises:
        CheckpointError: no backbone of a known dialect, or one with parts that ours lack.
    """
    model = choose_model(content, weights)
    refuse_beyond(model)
    return Opened(model, recognise(model).translate(model))


def arguments(
    opened: Opened,
    overrides: dict[str, Any],
    grid: Grid | None = None,
    resizing: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What pre-training recorded, or else what the shapes show; then the overrides.

    Args:
        grid: patch grid of the tables; what they are made for.
        resizing: parts of `Resize` asked for.

    Raises:
        CheckpointError: `arch` or `num_heads` contradict the file, or it does not show a number,
            or what it computes.
    """
    dialect = opened.translated.dialect
    record = (opened.model.record or {}).get('backbone')
    hints = Hints(
        name=opened.model.name,
        dialect=dialect.name,
        asked=overrides,
        implied=dialect.options(opened.model),
        head_width=dialect.head_width,
        said=opened.model.said,
        grid=grid,
        guesses=opened.guesses,
    )
    if record is None:
        refuse_unclear(opened.model, {**hints.implied, **overrides})
        config = architecture_arguments(dialect.family, opened.translated.state, hints)
    else:
        import_recorded(opened.model.record, opened.model.name)
        config = dict(record)
        hints.agreed(recorded_size(config, dialect.family), SIZES[dialect.family])
    how = resize_rule(opened, resizing)
    if how != BICUBIC:
        config['pos_resize'] = {k: v for k, v in asdict(how).items() if v != getattr(BICUBIC, k)}
    config.update({k: v for k, v in overrides.items() if k not in ('arch', 'num_heads')})
    config.pop('init_cfg', None)
    return config


def recorded_size(config: dict[str, Any], family: str) -> dict[str, Any]:
    """Sizes behind the `arch` of a recorded backbone, which may be its class's default."""
    arch = config.get('arch')
    if arch is None:
        arch = inspect.signature(MODELS.get(config['type'])).parameters['arch'].default
    return dict(SIZES[family](arch))


def build(config: dict[str, Any], opened: Opened) -> MIMBackbone:
    """Raises CheckpointError when the class does not take these arguments."""
    try:
        return MODELS.build(config)
    except (TypeError, ValueError, KeyError, ArithmeticError) as error:
        why = ' '.join(str(error).split())
        raise CheckpointError(f'checkpoint {opened.model.name}: {why}') from error


def absent(overrides: dict[str, Any], key: str) -> bool:
    """Whether the caller said in so many words: without this part."""
    return key in overrides and overrides[key] in ('none', None, False, 0)


def load(
    backbone: MIMBackbone,
    opened: Opened,
    strict: bool,
    leave_out: Sequence[str] = (),
    grid: Grid | None = None,
    resizing: Mapping[str, Any] | None = None,
) -> LoadReport:
    """Fit, report, refuse gaps, copy."""
    model, translated = opened.model, opened.translated.without(leave_out)
    check_family(backbone, model, translated.dialect)
    grid = grid or recorded_grid(model)
    how = resize_rule(opened, resizing, backbone.built_with.get('pos_resize'))
    try:
        fitted = fit(backbone, translated.state, leave_out, grid, how)
    except ValueError as error:
        raise CheckpointError(f'checkpoint {model.name}: {error}') from error
    report = report_of(model, translated, fitted, opened.guesses, how)
    if strict:
        refuse_gaps(report, fitted, translated)
    refuse_broken(fitted.state, model.name)
    backbone.load_state_dict(fitted.state, strict=False)
    return report


def given(mode: str | None, antialias: bool | None, offset: float | None) -> dict[str, Any]:
    """The parts of `Resize` that were given."""
    parts = {'mode': mode, 'antialias': antialias, 'offset': offset}
    return {key: value for key, value in parts.items() if value is not None}


def resize_rule(
    opened: Opened,
    asked: Mapping[str, Any] | None = None,
    configured: Mapping[str, Any] | None = None,
) -> Resize:
    """How absolute positions go to another grid: as asked, else as the backbone was configured,
    else as its pre-training here had it, else as the file's own code does.

    Raises:
        CheckpointError: there is no such way.
    """
    record = (opened.model.record or {}).get('backbone')
    rule = opened.translated.dialect.resize
    try:
        if configured or record is not None:
            rule = Resize(**(configured or record.get('pos_resize') or {}))
        return replace(rule, **asked or {})
    except (TypeError, ValueError) as error:
        raise CheckpointError(f'positions of checkpoint {opened.model.name}: {error}') from error


def recorded_grid(model: Model) -> Grid | None:
    """Patch grid of the tables, where pre-training recorded it."""
    record = (model.record or {}).get('backbone', {})
    size, patch = record.get('img_size'), record.get('patch_size', 16)
    if not str(record.get('type', '')).endswith('MIMViT') or size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    return height // patch, width // patch
