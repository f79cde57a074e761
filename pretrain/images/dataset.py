"""Unlabelled images -> uint8 views of one crop, perhaps with a mask: the input of pre-training.

    file -> colour jitter -> crop box, flip -> resize to the backbone's size      image, masked
                                            -> resize as the target wants it     target_image

The model says what it needs (`bind`); no recipe repeats the sizes of its backbone.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from mim_backbones.errors import UserError
from pretrain.images.decode import (
    BAD_IMAGE,
    centre_crop,
    channels_first,
    check_decode,
    check_interpolation,
    colour_jitter,
    decode_for,
    list_images,
    open_image,
    read_crop,
    resize_box,
    sample_crop,
)
from pretrain.images.sampler import Sample
from pretrain.images.token_cache import UNREADABLE, TokenCache
from pretrain.maskers.choice import build_masker
from pretrain.registry import DATASETS


class View(NamedTuple):
    """How a target sees the student's crop. size: side in pixels."""

    size: int
    interpolation: str = 'bicubic'


@dataclass(frozen=True)
class Needs:
    """What a model wants of each image.

    Attributes:
        img_size: side of the student's view in pixels.
        mask_size: side in pixels of what a cell of a mask covers.
        view: a second view for the target; None: it looks at the student's.
        known: ids that are written down already, with the crop they belong to, in its place.
        who: names the backbone in messages.
    """

    img_size: int
    mask_size: int
    view: View | None = None
    known: TokenCache | None = None
    who: str = 'the backbone'


@DATASETS.register_module()
class UnlabelledImages(Dataset):
    """Every JPEG and PNG below a folder, jittered, cropped, flipped and perhaps masked.

    A file that cannot be decoded is replaced by the next one that can and reported under
    `skipped`; the hook `SkippedImages` counts and limits that. Where the target's ids are known
    already (`CachedTokens`), crop and colours are those they were made of: the centre, as it is.

    Args:
        root: folder, searched at any depth.
        masker: config of a masker, called with a random generator; None: nothing is hidden. Its
            img_size and patch_size follow from the backbone.
        scale: range of the crop's area share.
        ratio: range of the crop's aspect ratio.
        flip: probability of a horizontal flip.
        jitter: strength of the colour jitter, 0 to 1.
        interpolation: 'bilinear', 'bicubic' or 'lanczos', of the student's view.
        decode: 'exact', or 'fast' for large JPEGs at small sizes, see `pretrain.images.decode`.
        img_size: side of the student's view in pixels; best left to the backbone.

    Raises:
        UserError: the folder is not there or holds no images.
        ValueError: no such interpolation or decoding, or a jitter outside [0, 1].
    """

    def __init__(
        self,
        root: str,
        masker: dict[str, Any] | None = None,
        scale: tuple[float, float] = (0.67, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        jitter: float = 0.0,
        interpolation: str = 'bilinear',
        decode: str = 'exact',
        img_size: int | None = None,
    ) -> None:
        if not 0 <= jitter <= 1:
            raise ValueError(f'UnlabelledImages: jitter {jitter} is not between 0 and 1')
        self.root = root
        self.files = list_images(root)
        self.masker_config = masker
        self.scale = tuple(scale)
        self.ratio = tuple(ratio)
        self.flip = flip
        self.jitter = jitter
        self.interpolation = check_interpolation(interpolation)
        self.decode = check_decode(decode)
        self.img_size = img_size
        self.masker: Any = None
        self.view: View | None = None
        self.ids: dict[str, np.ndarray] | None = None
        self.bound = False

    def bind(self, needs: Needs) -> None:
        """Take sizes, second view and known ids from the model.

        Raises:
            UserError: the recipe says another size here, a masker that cannot be built at these
                sizes, or images whose ids are not known.
        """
        self.img_size = agreed('data set', 'img_size', self.img_size, needs.img_size, needs.who)
        self.view = needs.view
        if self.masker_config is not None:
            self.masker = bound_masker(self.masker_config, needs)
        if needs.known is not None:
            self.ids = needs.known.of(self.files, self.root)
        self.bound = True

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, sample: Sample) -> dict[str, Any]:
        """(index, entropy) -> image (3, S, S) uint8, mask (S/p, S/p) bool, skipped file names.

        Without a masker there is no `mask`; with a second view there is `target_image`, with known
        ids `target_ids` (h, w) int64.
        """
        assert self.bound, 'model.bind(dataset) comes first; a Runner does it by the hook BindData'
        index, entropy = sample
        rng = np.random.default_rng(entropy)
        skipped = []
        for step in range(len(self)):
            path = self.files[(index + step) % len(self)]
            try:
                views = self._views(path, rng) if self.ids is None else self._known(path)
            except BAD_IMAGE:
                skipped.append(path)
                continue
            if self.masker is not None:
                views['mask'] = self.masker(rng)
            return {
                **{name: torch.from_numpy(view) for name, view in views.items()},
                'skipped': '\n'.join(skipped),
            }
        raise UserError(f'none of the {len(self)} images can be decoded, the first is {skipped[0]}')

    def _views(self, path: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """(3, S, S) uint8 of each view, under its name in the batch."""
        own = View(self.img_size, self.interpolation)
        views = {'image': own} if self.view is None else {'image': own, 'target_image': self.view}
        with open_image(path) as image:
            width, height = image.size
            box = sample_crop((height, width), self.scale, self.ratio, rng)
            side = max(view.size for view in views.values())
            rgb, box = decode_for(image, box, side, self.decode)
        # The contrast's pivot is the mean of the whole picture, so the crop comes after.
        rgb = colour_jitter(rgb, self.jitter, rng)
        flip = rng.random() < self.flip
        return {
            name: channels_first(resize_box(rgb, box, *view, self.decode), flip)
            for name, view in views.items()
        }

    def _known(self, path: str) -> dict[str, np.ndarray]:
        """The crop that the ids on file were made of, and those."""
        ids = self.ids[path]
        if (ids == UNREADABLE).any():
            raise OSError('it could not be decoded when the ids were written')
        with open_image(path) as image:
            width, height = image.size
            box = centre_crop((height, width))
            pixels = read_crop(image, box, self.img_size, self.interpolation, self.decode)
        return {'image': channels_first(pixels), 'target_ids': ids.astype(np.int64)}


def bound_masker(config: dict[str, Any], needs: Needs) -> Any:
    """The masker of a recipe on the patch grid of its backbone.

    Raises:
        UserError: it says other sizes than the backbone's, or refuses these.
    """
    sizes = {'img_size': needs.img_size, 'patch_size': needs.mask_size}
    for name, size in sizes.items():
        agreed('masker', name, config.get(name), size, needs.who)
    return build_masker({**config, **sizes})


def agreed(part: str, name: str, said: Any, size: int, who: str) -> int:
    """Raises UserError when a recipe says a size twice, and not the same."""
    if said not in (None, size):
        raise UserError(
            f'{part}: {name}={said} in the config, but {who} has {size}; leave {name} out'
        )
    return size
