"""What a masked-image model sees and says: original, masked, prediction pasted."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mim_backbones.errors import UserError
from pretrain.images.dataset import list_images, load_image
from pretrain.inspect.pictures import captioned_grid
from pretrain.losses import hidden_positions
from pretrain.methods.base import MaskedImageModel

GREY = 127
COLUMNS = ('original', 'masked', 'prediction pasted')
Masker = Callable[[np.random.Generator], np.ndarray]


# Not inference_mode: whatever a backbone keeps of such a pass, the next training step may use.
@torch.no_grad()
def reconstruct(model: MaskedImageModel, image: Tensor, mask: Tensor) -> Tensor:
    """image (B, 3, H, W) uint8, mask (B, h, w) bool -> three pictures each (B, 3, 3, H, W) uint8.

    Second axis: the original, the masked image, the prediction pasted into the hidden part. A
    target of fewer positions is drawn as squares; one that normalises pixels by their
    surroundings takes those of the original.
    """
    preprocessor = model.data_preprocessor
    normal = preprocessor.normalise(image)
    colours = model.target.pixels(model.predict(normal, mask), model.target_view(normal))
    colours = F.interpolate(colours.float(), size=image.shape[-2:], mode='nearest')
    if model.target.kind == 'pixels':
        pred = preprocessor.denormalise(colours)
    else:
        pred = (colours * 255).round().clamp(0, 255).to(torch.uint8)
    shown, masked = hide(image, mask, model.backbone.mask_size)
    return torch.stack([image, masked, torch.where(shown, image, pred)], dim=1)


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
        pictures = reconstruct(model, image, mask)
    else:
        pictures = torch.stack([image, hide(image, mask, model.backbone.mask_size)[1]], dim=1)
    return captioned_grid(pictures.cpu().numpy(), COLUMNS[: pictures.shape[1]], scale)


def choose_images(source: str | Path, count: int) -> list[str]:
    """`count` files spread evenly over a folder, or the one file.

    Raises:
        UserError: neither a file nor a folder with images.
    """
    if Path(source).is_file():
        return [str(source)]
    if not Path(source).exists():
        raise UserError(f'{source} does not exist; give an image or a folder of images')
    return evenly(list_images(source), count)


def evenly(files: list[str], count: int) -> list[str]:
    """`count` of the files, from the first to the last."""
    return [files[i] for i in np.linspace(0, len(files) - 1, min(count, len(files))).astype(int)]


def load_images(files: list[str], img_size: int) -> Tensor:
    """Their centres as one batch (B, 3, S, S) uint8."""
    return torch.stack([load_image(path, img_size) for path in files])
