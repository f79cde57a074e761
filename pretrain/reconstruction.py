"""What a pixel-predicting checkpoint sees and says: original, masked, prediction pasted."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from mim_backbones.checkpoint_content import open_source
from mim_backbones.errors import UserError
from mim_backbones.weights_file import CheckpointError
from pretrain.data import list_images, load_image
from pretrain.losses import hidden_positions
from pretrain.methods.base import MaskedImageModel
from pretrain.registry import MODELS, TRANSFORMS, build

GREY = 127
GAP = 6
CAPTION = 18
COLUMNS = ('original', 'masked', 'prediction pasted')


def load_method(checkpoint: str | Path) -> tuple[MaskedImageModel, dict]:
    """The whole pre-training model of a checkpoint, and what the checkpoint records of it.

    Raises:
        CheckpointError: unreadable, not a pre-training checkpoint of this project, without the
            prediction head, or with weights of other shapes than it records.
    """
    content = open_source(checkpoint)
    record = content.record or {}
    if not {'model', 'backbone', 'masker', 'img_size'} <= record.keys():
        raise CheckpointError(
            f'checkpoint {checkpoint} records no pre-training method; '
            'give one that tools/train.py wrote'
        )
    config = {**record['model'], 'backbone': {**record['backbone'], 'init_cfg': None}}
    model = build(MODELS, config)
    state = {name.removeprefix('state_dict.'): value for name, value in content.tensors.items()}
    try:
        missing = model.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:  # shapes
        why = str(error).splitlines()[-1].strip()
        raise CheckpointError(f'checkpoint {checkpoint} is not what it records: {why}') from error
    if missing:
        raise CheckpointError(
            f'checkpoint {checkpoint} lacks {missing[0]} and {len(missing) - 1} more; '
            'without its head it predicts nothing'
        )
    return model.eval(), record


@torch.inference_mode()
def reconstruct(model: MaskedImageModel, image: Tensor, mask: Tensor) -> Tensor:
    """image (B, 3, H, W) uint8, mask (B, h, w) bool -> three pictures each (B, 3, 3, H, W) uint8.

    Second axis: the original, the masked image, the prediction pasted into the hidden part.
    """
    preprocessor = model.data_preprocessor
    pred = preprocessor.denormalise(model.predict(preprocessor.normalise(image), mask))
    hidden = hidden_positions(mask, model.backbone.mask_size, 1)
    masked = torch.where(hidden, torch.full_like(image, GREY), image)
    return torch.stack([image, masked, torch.where(hidden, pred, image)], dim=1)


def reconstruction_picture(
    checkpoint: str | Path, images: list[str], seed: int = 0, scale: int = 1
) -> Image.Image:
    """One row per image with captions above; masks from the checkpoint's own masker."""
    model, record = load_method(checkpoint)
    masker = build(TRANSFORMS, record['masker'])
    batch = torch.stack([load_image(path, record['img_size']) for path in images])
    rng = np.random.default_rng(seed)
    mask = torch.from_numpy(np.stack([masker(rng) for _ in images]))
    return captioned_grid(reconstruct(model, batch, mask).numpy(), scale)


def captioned_grid(pictures: np.ndarray, scale: int) -> Image.Image:
    """pictures (rows, 3, 3, H, W) uint8 -> one image with a caption over each column."""
    rows, columns, _, height, width = pictures.shape
    height, width = height * scale, width * scale
    canvas = Image.new(
        'RGB',
        (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP + CAPTION),
        'white',
    )
    draw = ImageDraw.Draw(canvas)
    for column, caption in enumerate(COLUMNS):
        draw.text((GAP + column * (width + GAP), GAP), caption, fill='black')
        for row in range(rows):
            tile = Image.fromarray(pictures[row, column].transpose(1, 2, 0))
            place = (GAP + column * (width + GAP), CAPTION + GAP + row * (height + GAP))
            canvas.paste(tile.resize((width, height), Image.Resampling.NEAREST), place)
    return canvas


def choose_images(source: str | Path, count: int) -> list[str]:
    """`count` files spread evenly over a folder, or the one file.

    Raises:
        UserError: neither a file nor a folder with images.
    """
    if Path(source).is_file():
        return [str(source)]
    if not Path(source).exists():
        raise UserError(f'{source} does not exist; give an image or a folder of images')
    files = list_images(source)
    return [files[i] for i in np.linspace(0, len(files) - 1, min(count, len(files))).astype(int)]
