"""A sample of the pixels of many images."""

from collections.abc import Iterable

import numpy as np

from mim_backbones.errors import UserError
from pretrain.images.dataset import load_image


def draw_pixels(
    files: Iterable[str], per_image: int, img_size: int, seed: int
) -> tuple[np.ndarray, list[str]]:
    """`per_image` pixels of the centre of each image, and the files that cannot be decoded.

    An image's pixels depend on the seed and its place among the files alone.

    Returns:
        (N, 3) uint8 RGB; names.

    Raises:
        UserError: none of the files can be decoded.
    """
    drawn, skipped = [], []
    for place, path in enumerate(files):
        try:
            image = load_image(path, img_size)
        except UserError:
            skipped.append(path)
            continue
        pixels = image.numpy().reshape(3, -1).T
        count = min(per_image, len(pixels))
        chosen = np.random.default_rng((seed, place)).choice(len(pixels), count, replace=False)
        drawn.append(pixels[chosen])
    if not drawn:
        raise UserError(
            f'none of the {len(skipped)} images can be decoded, the first is {skipped[0]}'
        )
    return np.concatenate(drawn), skipped
