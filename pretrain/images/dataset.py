"""Unlabelled images -> (uint8 crop, perhaps a mask): the whole input of pre-training."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from mim_backbones.errors import UserError
from pretrain.images.decode import (
    BAD_IMAGE,
    centre_crop,
    check_interpolation,
    open_image,
    read_crop,
    sample_crop,
)
from pretrain.images.sampler import Sample
from pretrain.registry import DATASETS, TRANSFORMS, build

SUFFIXES = {'.jpg', '.jpeg', '.png'}


@DATASETS.register_module()
class UnlabelledImages(Dataset):
    """Every JPEG and PNG below a folder, cropped, flipped and, where there is a masker, masked.

    A file that cannot be decoded is replaced by the next one that can and reported under
    `skipped`; `SkippedImages` in hooks.py counts and limits that.

    Args:
        root: folder, searched at any depth.
        img_size: side of the crop in pixels.
        masker: config of a masker, called with a random generator; None: nothing is hidden.
        scale: range of the crop's area share.
        ratio: range of the crop's aspect ratio.
        flip: probability of a horizontal flip.
        interpolation: 'bilinear', 'bicubic' or 'lanczos', of the crop's resize.

    Raises:
        UserError: the folder is not there or holds no images.
        ValueError: no such interpolation.
    """

    def __init__(
        self,
        root: str,
        img_size: int,
        masker: dict[str, Any] | None = None,
        scale: tuple[float, float] = (0.67, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        interpolation: str = 'bilinear',
    ) -> None:
        self.files = list_images(root)
        self.img_size = img_size
        self.masker = None if masker is None else build(TRANSFORMS, masker)
        self.scale = tuple(scale)
        self.ratio = tuple(ratio)
        self.flip = flip
        self.interpolation = check_interpolation(interpolation)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, sample: Sample) -> dict[str, Any]:
        """(index, entropy) -> image (3, S, S) uint8, mask (S/p, S/p) bool, skipped file names.

        Without a masker there is no `mask`.
        """
        index, entropy = sample
        rng = np.random.default_rng(entropy)
        skipped = []
        for step in range(len(self)):
            path = self.files[(index + step) % len(self)]
            try:
                views = self._views(path, rng)
            except BAD_IMAGE:
                skipped.append(path)
                continue
            masked = {} if self.masker is None else {'mask': torch.from_numpy(self.masker(rng))}
            return {
                **{name: torch.from_numpy(view) for name, view in views.items()},
                **masked,
                'skipped': '\n'.join(skipped),
            }
        raise UserError(f'none of the {len(self)} images can be decoded, the first is {skipped[0]}')

    def _views(self, path: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """What one file gives besides its mask: (3, S, S) uint8 under its name in the batch."""
        with open_image(path) as image:
            width, height = image.size
            box = sample_crop((height, width), self.scale, self.ratio, rng)
            pixels = read_crop(image, box, self.img_size, self.interpolation)
        return {'image': channels_first(pixels, rng.random() < self.flip)}


def channels_first(pixels: np.ndarray, flip: bool = False) -> np.ndarray:
    """(H, W, 3) -> (3, H, W), mirrored left to right if asked for."""
    return np.ascontiguousarray((pixels[:, ::-1] if flip else pixels).transpose(2, 0, 1))


def list_images(root: str | Path) -> list[str]:
    """All image files below a folder, sorted.

    Raises:
        UserError: no such folder, or no images in it.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise UserError(
            f'pre-training images: folder {folder.absolute()} is not there; '
            'set train_dataloader.dataset.root or give --data'
        )
    files = sorted(str(p) for p in folder.rglob('*') if p.suffix.lower() in SUFFIXES)
    if not files:
        raise UserError(f'pre-training images: no JPEG or PNG below {folder.absolute()}')
    return files


def load_image(path: str | Path, img_size: int, interpolation: str = 'bilinear') -> torch.Tensor:
    """The centre of one file as (3, S, S) uint8.

    Raises:
        UserError: the file is no readable image.
    """
    try:
        with open_image(path) as image:
            width, height = image.size
            pixels = read_crop(image, centre_crop((height, width)), img_size, interpolation)
    except BAD_IMAGE as error:
        raise UserError(f'image {path} cannot be decoded: {error}') from error
    return torch.from_numpy(channels_first(pixels))
