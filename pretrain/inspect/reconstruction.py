"""What a masked-image model sees and says: original, masked, prediction pasted."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from PIL import Image
from torch import Tensor

from mim_backbones.errors import UserError
from pretrain.images.preprocessor import to_uint8, to_unit
from pretrain.inspect.pictures import GREY, tiled
from pretrain.losses import hidden_positions
from pretrain.maskers.choice import build_masker
from pretrain.methods.base import MaskedImageModel
from pretrain.methods.load import load_method

TILE = 120  # pixels that a caption needs
BATCH = 16  # images at a time
COLUMNS = ('original', 'masked', 'prediction pasted')
Masker = Callable[[np.random.Generator], np.ndarray]


def load_drawable(
    checkpoint: str | Path,
    config: Config | None = None,
    backbone: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[MaskedImageModel, Masker, list[str]]:
    """A model whose predictions are colours, the masker of its training, and what it lacks.

    Args:
        config, backbone, options: see `load_method`.

    Raises:
        CheckpointError, UserError: see `load_method`; or its predictions have no colours, or no
            masker is known.
    """
    model, record, missing = load_method(checkpoint, config, backbone, options)
    name = type(model).__name__
    if not isinstance(model, MaskedImageModel):
        raise UserError(f'{name} predicts no colours, so there is nothing to draw')
    if not model.target.drawable:
        raise UserError(
            f'{name} on {model.target.kind} predicts nothing with colours, so there is nothing to '
            'draw'
        )
    masker = record.get('masker') or ('model' not in record and model.released_masker)
    if not masker:
        raise UserError(f'checkpoint {checkpoint} records no masker; give its recipe with --config')
    sizes = {'img_size': model.img_size, 'patch_size': model.backbone.mask_size}
    return model, build_masker({**masker, **sizes}), missing


# Not inference_mode: whatever a backbone keeps of such a pass, the next training step may use.
@torch.no_grad()
def reconstruct(model: MaskedImageModel, image: Tensor, mask: Tensor) -> Tensor:
    """image (B, 3, H, W) uint8, mask (B, h, w) bool -> three pictures each (B, 3, 3, H, W) uint8.

    Second axis: the original, the masked image, the prediction pasted into the hidden part. A
    target of fewer positions is drawn as squares; one that normalises pixels by their
    surroundings takes those of the original.
    """
    unit = to_unit(image)
    colours = model.target.pixels(model.predict(unit, mask), unit)
    pred = to_uint8(F.interpolate(colours.float(), size=image.shape[-2:], mode='nearest'))
    shown, masked = hide(image, mask, model.backbone.mask_size)
    return torch.stack([image, masked, torch.where(shown, image, pred)], dim=1)


def fitting_scale(img_size: int) -> int:
    """How many times a pixel is enlarged until a caption fits above."""
    return -(-TILE // img_size)


def hide(image: Tensor, mask: Tensor, mask_size: int) -> tuple[Tensor, Tensor]:
    """What is visible (B, 1, H, W) bool, and the image with grey in place of the rest."""
    shown = ~hidden_positions(mask, mask_size, 1)
    return shown, torch.where(shown, image, torch.full_like(image, GREY))


def reconstruction_picture(
    model: MaskedImageModel,
    masker: Masker,
    image: Tensor,
    seed: int = 0,
    scale: int | None = None,
    predicts: bool = True,
) -> Image.Image:
    """One row per image (B, 3, H, W) uint8, captions above.

    Args:
        masker: draws one mask per image.
        predicts: False leaves out the last column, of a model whose head is not trained.
    """
    rng = np.random.default_rng(seed)
    mask = torch.from_numpy(np.stack([masker(rng) for _ in image])).to(image.device)
    if predicts:
        parts = zip(image.split(BATCH), mask.split(BATCH))
        pictures = torch.cat([reconstruct(model, *part) for part in parts])
    else:
        pictures = torch.stack([image, hide(image, mask, model.backbone.mask_size)[1]], dim=1)
    columns, tiles = pictures.shape[1], pictures.flatten(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    scale = scale or fitting_scale(image.shape[-1])
    return tiled([*tiles], COLUMNS[:columns], columns, scale)
