"""One crop at two resolutions: what the student sees and what the tokenizer names.

    file -> colour jitter -> crop box, flip -> resize to img_size      student, masked
                                            -> resize to token_size    tokenizer

paper: BEiT, arXiv 2106.08254, and BEiT v2, 2208.06366; order and ranges of the released code.
"""

from typing import Any

import numpy as np
from torch import Tensor

from pretrain.images.dataset import UnlabelledImages, channels_first
from pretrain.images.decode import (
    check_interpolation,
    decode_for,
    open_image,
    resize_box,
    sample_crop,
)
from pretrain.images.jitter import colour_jitter
from pretrain.images.preprocessor import ImagePreprocessor
from pretrain.registry import DATASETS, MODELS


@DATASETS.register_module()
class TwoViewImages(UnlabelledImages):
    """`UnlabelledImages` with a second view `token_image` of the same, equally jittered crop.

    Args:
        root, scale, ratio, flip: see `UnlabelledImages`.
        img_size: side of the student's view in pixels.
        token_size: side of the tokenizer's view in pixels; its grid of ids must be the
            student's grid of patches.
        jitter: strength of the colour jitter.
        interpolation, token_interpolation: 'bilinear', 'bicubic' or 'lanczos', of each view.

    Raises:
        UserError: the folder is not there or holds no images.
        ValueError: no such interpolation, or a jitter outside [0, 1].
    """

    def __init__(
        self,
        root: str,
        img_size: int,
        token_size: int,
        masker: dict[str, Any],
        scale: tuple[float, float] = (0.2, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        jitter: float = 0.4,
        interpolation: str = 'bicubic',
        token_interpolation: str = 'bicubic',
    ) -> None:
        super().__init__(root, img_size, masker, scale, ratio, flip, interpolation)
        if not 0 <= jitter <= 1:
            raise ValueError(f'TwoViewImages: jitter {jitter} is not between 0 and 1')
        self.token_size = token_size
        self.jitter = jitter
        self.token_interpolation = check_interpolation(token_interpolation)

    def _views(self, path: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
        sizes = {
            'image': (self.img_size, self.interpolation),
            'token_image': (self.token_size, self.token_interpolation),
        }
        with open_image(path) as image:
            width, height = image.size
            box = sample_crop((height, width), self.scale, self.ratio, rng)
            rgb, box = decode_for(image, box, max(self.img_size, self.token_size))
        # The contrast's pivot is the mean of the whole picture, so the crop comes after.
        rgb = colour_jitter(rgb, self.jitter, rng)
        flip = rng.random() < self.flip
        return {
            name: channels_first(resize_box(rgb, box, size, interpolation), flip)
            for name, (size, interpolation) in sizes.items()
        }


@MODELS.register_module()
class TwoViewPreprocessor(ImagePreprocessor):
    """Normalises the student's view; the tokenizer's goes to [0, 1], it normalises for itself."""

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Tensor]:
        """What is there of image, token_image (uint8), mask (bool), token_ids (int64)."""
        known = ('image', 'mask', 'token_image', 'token_ids')
        batch = self.cast_data({key: data[key] for key in known if key in data})
        batch['image'] = self.normalise(batch['image'])
        if 'token_image' in batch:
            batch['token_image'] = batch['token_image'].float() / 255
        return batch
