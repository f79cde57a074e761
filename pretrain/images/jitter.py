"""Random brightness, contrast and saturation of a whole picture, as the field's ColorJitter."""

import numpy as np
from PIL import Image, ImageEnhance

PROPERTIES = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def colour_jitter(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Change each property by a factor of its own, in a random order.

    Args:
        image: RGB.
        strength: factors are uniform in [1 - strength, 1 + strength]; 0 draws nothing.
    """
    if not strength:
        return image
    factors = rng.uniform(1 - strength, 1 + strength, len(PROPERTIES))
    for k in rng.permutation(len(PROPERTIES)):
        image = PROPERTIES[k](image).enhance(float(factors[k]))
    return image
