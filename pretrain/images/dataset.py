"""Unlabelled images -> uint8 views of one crop, perhaps with a mask: the input of pre-training.

    file -> colour jitter -> crop box, flip -> resize to the backbone's size      image, masked
         -> the same or none                -> resize as the target wants it     target_image

The model says what it needs (`bind`); no recipe repeats the sizes of its backbone.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from mim_backbones.errors import UserError
from mim_backbones.images.opening import BAD_IMAGE, open_image
from pretrain.images.decode import (
    centre_crop,
    channels_first,
    check_decode,
    check_interpolation,
    colour_jitter,
    decode_for,
    list_images,
    resize_box,
    sample_crop,
)
from pretrain.images.feature_cache import FeatureCache, StoredFeatures
from pretrain.images.sampler import Sample
from pretrain.images.token_cache import UNREADABLE, TokenCache
from pretrain.maskers.choice import build_masker
from pretrain.registry import DATASETS

CROPS = ('random', 'centre')


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
        known: what the target says, ids or features, that is on file for one crop.
        who: names the backbone in messages.
    """

    img_size: int
    mask_size: int
    view: View | None = None
    known: TokenCache | FeatureCache | None = None
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
        jitter_target: whether the target sees jittered colours too; False gives it a view of its
            own.
        interpolation: 'bilinear', 'bicubic' or 'lanczos', of the student's view.
        decode: 'exact', or 'fast' for large JPEGs at small sizes, see `pretrain.images.decode`.
        img_size: side of the student's view in pixels; best left to the backbone.
        crop: 'random', or 'centre' for the largest centred square in its own colours and never
            flipped, the same in every epoch; scale, ratio, flip and jitter then say nothing.

    Raises:
        UserError: the folder is not there or holds no images.
        ValueError: no such interpolation, decoding or crop, or a jitter outside [0, 1].
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
        jitter_target: bool = True,
        crop: str = 'random',
    ) -> None:
        if not 0 <= jitter <= 1:
            raise ValueError(f'UnlabelledImages: jitter {jitter} is not between 0 and 1')
        if crop not in CROPS:
            raise ValueError(f'UnlabelledImages: crop={crop!r}; known: {", ".join(CROPS)}')
        self.root = root
        self.files = list_images(root)
        self.masker_config = masker
        self.scale = tuple(scale)
        self.ratio = tuple(ratio)
        self.flip = flip
        self.jitter = jitter
        self.jitter_target = jitter_target
        self.interpolation = check_interpolation(interpolation)
        self.decode = check_decode(decode)
        self.img_size = img_size
        self.masker: Any = None
        self.view: View | None = None
        self.fixed = crop == 'centre'
        self.ids: dict[str, np.ndarray] | None = None
        self.features: StoredFeatures | None = None
        self.bound = False

    def bind(self, needs: Needs) -> None:
        """Take sizes, second view and what is known of the target from the model.

        Raises:
            UserError: the recipe says another size here, a masker that cannot be built at these
                sizes, images whose ids are not known, or random crops beside features on file.
        """
        self.img_size = agreed('data set', 'img_size', self.img_size, needs.img_size, needs.who)
        self.view = needs.view
        if self.view is None and not self.jitter_target:
            self.view = View(self.img_size, self.interpolation)
        if self.masker_config is not None:
            self.masker = bound_masker(self.masker_config, needs)
        if isinstance(needs.known, FeatureCache):
            if not self.fixed:
                raise UserError(
                    'data set: crops are random, and model.target.cache keeps features of one crop '
                    'an image; set train_dataloader.dataset.crop=centre, or leave the cache out'
                )
            view = self.view or View(self.img_size, self.interpolation)
            self.features = needs.known.of(self.files, self.root, *view, self.decode)
        elif needs.known is not None:
            self.ids, self.fixed = needs.known.of(self.files, self.root), True
        self.bound = True

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, sample: Sample) -> dict[str, Any]:
        """(index, entropy) -> image (3, S, S) uint8, mask (S/p, S/p) bool, skipped file names.

        Without a masker there is no `mask`; with a second view there is `target_image`, in its
        place what is on file: `target_ids` (h, w) int64, `target_features` (rows, T) bf16.
        """
        assert self.bound, 'model.bind(dataset) comes first; a Runner does it by the hook BindData'
        index, entropy = sample
        rng = np.random.default_rng(entropy)
        skipped = []
        for step in range(len(self)):
            path = self.files[(index + step) % len(self)]
            try:
                known = self._known(path)
                views = self._views(path, rng)
            except BAD_IMAGE:
                skipped.append(path)
                continue
            if self.masker is not None:
                views['mask'] = self.masker(rng)
            return {
                **{name: torch.from_numpy(view) for name, view in views.items()},
                **known,
                'skipped': '\n'.join(skipped),
            }
        raise UserError(f'none of the {len(self)} images can be decoded, the first is {skipped[0]}')

    def _views(self, path: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """(3, S, S) uint8 of each view, under its name in the batch."""
        views = {'image': View(self.img_size, self.interpolation)}
        if self.view is not None and self.ids is None and self.features is None:
            views['target_image'] = self.view
        with open_image(path) as image:
            width, height = image.size
            box = (
                centre_crop((height, width))
                if self.fixed
                else sample_crop((height, width), self.scale, self.ratio, rng)
            )
            side = max(view.size for view in views.values())
            rgb, (box,) = decode_for(image, [box], side, self.decode)
        # The contrast's pivot is the mean of the whole picture, so the crop comes after.
        jittered = rgb if self.fixed else colour_jitter(rgb, self.jitter, rng)
        seen = {'image': jittered, 'target_image': jittered if self.jitter_target else rgb}
        flip = not self.fixed and rng.random() < self.flip
        return {
            name: channels_first(resize_box(seen[name], box, *view, self.decode), flip)
            for name, view in views.items()
        }

    def _known(self, path: str) -> dict[str, torch.Tensor]:
        """What is on file of an image; OSError if it could not be decoded at that time."""
        if self.features is not None:
            return {'target_features': self.features[path]}
        if self.ids is None:
            return {}
        ids = self.ids[path]
        if (ids == UNREADABLE).any():
            raise OSError('it could not be decoded when the ids were written')
        return {'target_ids': torch.from_numpy(ids.astype(np.int64))}


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
