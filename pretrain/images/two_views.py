"""Two views of an image for contrastive learning, each its own crop and colours.

    file -> crop -> resize -> colour jitter -> grey -> blur -> solarise -> flip    image
         -> the same with other draws                                             second_image

paper: BYOL, arXiv 2006.07733, appendix B, as MoCo v3 has it (arXiv 2104.02057, released code)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from torchvision.transforms import functional as colour

from mim_backbones.errors import UserError
from mim_backbones.images.opening import open_image
from pretrain.images.dataset import UnlabelledImages
from pretrain.images.decode import Box, Picture, channels_first, decode_for, resize_box, sample_crop
from pretrain.registry import DATASETS

MIDDLE = 128  # brightness from which solarising inverts


@dataclass(frozen=True)
class Distortion:
    """What happens to a view's colours.

    Attributes:
        jitter: probability of the colour jitter.
        brightness, contrast, saturation: its factors are uniform in [1 - s, 1 + s].
        hue: shift of the hue, uniform in [-h, h], in turns of the colour circle.
        grey: probability of losing the colours.
        blur: probability of a Gaussian blur.
        sigma: range of its deviation in pixels.
        solarise: probability of inverting what is brighter than the middle.
    """

    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    grey: float = 0.2
    blur: float = 0.0
    sigma: tuple[float, float] = (0.1, 2.0)
    solarise: float = 0.0

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """RGB to RGB of the same size."""
        if rng.random() < self.jitter:
            image = self.jittered(image, rng)
        if rng.random() < self.grey:
            image = colour.to_grayscale(image, 3)
        if rng.random() < self.blur:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(*self.sigma)))
        if rng.random() < self.solarise:
            image = ImageOps.solarize(image, MIDDLE)
        return image

    def jittered(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Brightness, contrast, saturation and hue changed in a random order."""
        changes = (
            (colour.adjust_brightness, 1, self.brightness),
            (colour.adjust_contrast, 1, self.contrast),
            (colour.adjust_saturation, 1, self.saturation),
            (colour.adjust_hue, 0, self.hue),
        )
        amounts = [rng.uniform(middle - width, middle + width) for _, middle, width in changes]
        for k in rng.permutation(len(changes)):
            image = changes[k][0](image, amounts[k])
        return image


@DATASETS.register_module()
class TwoViews(UnlabelledImages):
    """Every JPEG and PNG below a folder as `image` and `second_image`, decoded once.

    Nothing is hidden. What cannot be decoded is replaced, as in `UnlabelledImages`.

    Args:
        root, scale, ratio, flip, interpolation, decode, img_size: see `UnlabelledImages`.
        views: arguments of the `Distortion` of the first view and of the second.

    Attributes:
        gives: what a method has to take.

    Raises:
        UserError: other than two views, or an argument that no distortion has.
    """

    gives = ('image', 'second_image')

    def __init__(
        self,
        root: str,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        interpolation: str = 'bilinear',
        decode: str = 'exact',
        img_size: int | None = None,
        views: Sequence[Mapping[str, Any]] = ({'blur': 1.0}, {'blur': 0.1, 'solarise': 0.2}),
    ) -> None:
        super().__init__(
            root, None, scale, ratio, flip, interpolation=interpolation, decode=decode,
            img_size=img_size,
        )  # fmt: skip
        if len(views) != 2:
            raise UserError(f'TwoViews: {len(views)} entries in views; give two')
        try:
            self.distortions = [Distortion(**view) for view in views]
        except TypeError as error:
            fields = ', '.join(Distortion.__annotations__)
            raise UserError(f'TwoViews: views: {error}; known: {fields}') from error

    def _views(self, path: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
        with open_image(path) as image:
            width, height = image.size
            boxes = [sample_crop((height, width), self.scale, self.ratio, rng) for _ in range(2)]
            rgb, boxes = decode_for(image, boxes, self.img_size, self.decode)
        return {
            name: self._view(rgb, box, distort, rng)
            for name, box, distort in zip(
                ('image', 'second_image'), boxes, self.distortions, strict=True
            )
        }

    def _view(
        self, rgb: Picture, box: Box, distort: Distortion, rng: np.random.Generator
    ) -> np.ndarray:
        """(3, S, S) uint8."""
        crop = resize_box(rgb, box, self.img_size, self.interpolation, self.decode)
        seen = np.asarray(distort(Image.fromarray(crop), rng))
        return channels_first(seen, rng.random() < self.flip)
