"""Does a stock config take one of our backbones? Checked as tools/train.py does, then run empty.

swap      the two lines can be written (swap.py)
check     tools/train.py's own checks of the config
build     the whole model
forward   an image goes through it, as far as shapes tell: the model on the meta device
"""

import copy
import inspect
import tempfile
import traceback
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn as nn
from mmengine.config import Config

from downstream.stock.meta import META, build_empty, in_scope
from downstream.stock.swap import PACKAGES, StockMap, measured_maps
from mim_backbones.errors import UserError
from mim_backbones.training.config import open_config
from mim_backbones.training.preflight import check_layer_decay
from mim_backbones.training.unread_keys import check_config

SIDE = 128
FORWARDLESS = nn.Module.forward  # heads that only predict and only have losses
# What the meta device cannot say: it holds no values.
NO_VALUES = ('meta tensor', "'meta' device", 'Meta backend', 'data-dependent', 'meta registration')


class Trial(NamedTuple):
    """One stock config with one backbone.

    Attributes:
        step: that failed, empty if none did.
        why: in one line.
    """

    step: str = ''
    why: str = ''


def config_roots() -> dict[str, Path]:
    """Package -> folder of the configs that it ships, of those that are installed."""
    specs = {package: find_spec(package) for package in PACKAGES}
    return {
        package: Path(spec.submodule_search_locations[0]) / '.mim' / 'configs'
        for package, spec in specs.items()
        if spec is not None and spec.submodule_search_locations
    }


def stock_files(package: str) -> list[Path]:
    """Every config that a package ships, without the parts that others are made of."""
    root = config_roots()[package]
    return sorted(file for file in root.rglob('*.py') if '_base_' not in file.parts)


def stock_slot(
    file: Path, known: dict[str, list[StockMap] | UserError] | None = None
) -> tuple[Config, list[StockMap]]:
    """A stock config and the maps of the backbone in its one slot.

    Args:
        known: what was found for other configs' backbones, by their text; grows.

    Raises:
        UserError: the file cannot be read here, or has no such slot.
    """
    cfg = open_config(file)
    known = {} if known is None else known
    text = str((cfg.get('model') or {}).get('backbone'))
    if text not in known:
        try:
            known[text] = measured_maps(cfg)
        except UserError as error:
            known[text] = error
    found = known[text]
    if isinstance(found, UserError):
        raise found
    return cfg, found


def swapped_config(text: str, checked: bool = True) -> Config:
    """A child config, read by what tools/train.py reads it with.

    Args:
        checked: also what it checks before it builds.

    Raises:
        UserError: what tools/train.py says.
    """
    with tempfile.TemporaryDirectory(prefix='mimbench-') as folder:
        child = Path(folder) / 'child.py'
        child.write_text(text)
        cfg = open_config(child)
        if checked:
            check_config(cfg)
    check_layer_decay(cfg)
    return cfg


def attempt(cfg: Config) -> Trial:
    """Build the model of a swapped config and run it."""
    step = 'build'
    try:
        model = build_empty(cfg, copy.deepcopy(cfg.model))
        step = 'forward'
        run_empty(cfg, model)
    except Exception as error:  # foreign code refuses in every way there is
        return Trial(step, reason(error))
    return Trial()


def reason(error: Exception) -> str:
    """One line; what is asserted stands for an assertion without words."""
    text = ' '.join(str(error).split())
    if not text:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = f'{frame.name}: {frame.line}'
    return f'{type(error).__name__}: {text}'[:160]


def run_empty(cfg: Config, model: nn.Module) -> None:
    """Backbone, neck and every head that reads their maps, on an image without pixels.

    Raises:
        Exception: whatever refuses the shapes.
    """
    with in_scope(cfg), META, torch.no_grad():
        image = torch.zeros(2, 3, SIDE, SIDE)
        maps = model.extract_feat(image)
        for head in heads_of(model):
            if type(head).forward is not FORWARDLESS and takes_maps_alone(head):
                try:
                    head(maps)
                except (NotImplementedError, RuntimeError) as error:
                    if not any(word in str(error) for word in NO_VALUES):
                        raise


def takes_maps_alone(head: nn.Module) -> bool:
    """Query decoders, say, want what is known of the images beside."""
    parameters = list(inspect.signature(head.forward).parameters.values())
    return sum(p.default is p.empty for p in parameters if p.kind is not p.VAR_KEYWORD) == 1


def heads_of(model: nn.Module) -> Iterator[nn.Module]:
    """Whatever reads all maps, a detector's second stage left out."""
    names = ['decode_head', 'auxiliary_head', 'rpn_head', 'mask_head']
    if not hasattr(model, 'decoder'):  # whose head reads queries
        names.append('bbox_head')
    for name in names:
        head = getattr(model, name, None)
        if isinstance(head, nn.ModuleList):
            yield from list(head)[:1]  # the next ones read the one before
        elif head is not None:
            yield head
    for name in ('decode_head', 'panoptic_head'):  # which ask for more than the maps
        decoder = getattr(getattr(model, name, None), 'pixel_decoder', None)
        if decoder is not None:
            yield decoder
