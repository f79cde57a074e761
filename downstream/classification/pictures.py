"""The data set of a classifier: pictures of a split or of a share of it, as views with labels."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import MMLogger
from PIL import UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset

from downstream.classification.data import (
    FOLDERS,
    SPLITS,
    ClassificationData,
    Index,
    shifted_index,
    train_index,
    val_index,
)
from downstream.classification.layouts.listing import Store
from downstream.classification.shares import choose
from downstream.classification.views import CentreView
from downstream.registry import DATASETS, TRANSFORMS
from mim_backbones.errors import UserError
from mim_backbones.images.opening import BAD_IMAGE, open_image, to_rgb

if TYPE_CHECKING:
    from downstream.robustness.pipeline import SwitchedPictures


class Labelled(NamedTuple):
    """A picture: name below `root`, label, whether it only chooses, and what it is read from."""

    name: str
    label: int
    held: bool
    store: Store


@DATASETS.register_module()
class LabelledPictures(Dataset):
    """Samples are dicts of inputs (3, S, S) uint8, label, name (below `root`), held.

    A training picture that cannot be decoded is named, counted and replaced by the next one.

    Args:
        root, train, val, train_list, val_list, layout, class_names: see `ClassificationData`.
        split: 'train' or 'val'.
        view: config of a view (views.py).
        held_out: share of each training class that only chooses among probes: it is left out of
            split 'train' and follows the pictures of split 'val', with `held` true.
        share, per_class: of split 'train', how many of each class are labelled (shares.py).
        seed: of these choices.
        skip_limit: largest tolerated share of training pictures that cannot be decoded.
        shifted: folder or archives of another test set in place of split 'val': samples also say
            which classes are `allowed` (C,) where it has not all.

    Attributes:
        switched: corrupts test pictures, but those held out (robustness/pipeline.py).
    """

    switched: 'SwitchedPictures | None' = None

    def __init__(
        self,
        root: str,
        split: str,
        view: dict,
        train: str = 'train',
        val: str = 'val',
        train_list: str = '',
        val_list: str = '',
        layout: str = FOLDERS,
        class_names: str = '',
        held_out: float = 0.0,
        share: float = 1.0,
        per_class: int | None = None,
        seed: int = 0,
        skip_limit: float = 0.01,
        shifted: str = '',
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f'LabelledPictures: split={split!r}; known: {", ".join(SPLITS)}')
        data = ClassificationData(Path(root), train, val, train_list, val_list, layout, class_names)
        missing = next((path for path in data.wanted() if not path.exists()), None)
        if missing is not None:
            raise UserError(
                f'classification: {missing.absolute()} is not there; give --data DATA.yaml, or '
                f'--cfg-options {split}_dataloader.dataset.root=FOLDER'
            )
        self.root, self.view = data.root, TRANSFORMS.build(view)
        self.training, self.skip_limit = split == 'train', skip_limit
        self.skipped: dict[int, str] = {}
        self.allowed: Tensor | None = None
        training = train_index(data)
        self.metainfo = {'classes': training.classes}
        if self.training:
            labelled, _ = choose(training.labels, seed, held_out, share, per_class)
            parts = [(training, labelled, False)]
        else:
            if shifted:
                tested = shifted_index(data, shifted, training.classes)
                self.allowed = allowed_classes(tested)
            else:
                tested = val_index(data, training.classes)
            parts = [(tested, np.arange(len(tested.files)), False)]
            if held_out:
                parts.append((training, choose(training.labels, seed, held_out)[1], True))
        self.rows = [
            Labelled(index.files[i], index.labels[i], held, index.store)
            for index, places, held in parts
            for i in places
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Raises UserError for a test picture, or too many training pictures, that are broken."""
        for step in range(len(self) if self.training else 1):
            place = (index + step) % len(self)
            name, label, held, _ = row = self.rows[place]
            if place in self.skipped:
                continue
            try:
                inputs = self._square(row)
            except BAD_IMAGE as error:
                self._skip(place, error)
                continue
            sample = {'inputs': inputs, 'label': label, 'name': name, 'held': held}
            if self.allowed is not None:  # what is held out is of all classes
                sample['allowed'] = torch.ones_like(self.allowed) if held else self.allowed
            return sample
        raise UserError(f'classification: no picture of {self.root} can be decoded')

    def _square(self, row: Labelled) -> Tensor:
        """The view of a picture; pictures held out stay clean, so that the same probe counts."""
        switched = None if row.held else self.switched
        file = switched and switched.file(self.metainfo['classes'][row.label], row.name)
        content = file.read_bytes() if file else row.store.read(row.name)
        with open_image(BytesIO(content)) as image:
            picture = to_rgb(image)
        if file:  # cut out already
            side = self.view.size
            return CentreView(side, side)(picture)
        square = self.view(picture)
        return switched.corrupted(square, row.name) if switched else square

    def _skip(self, place: int, error: Exception) -> None:
        path = self.root / self.rows[place].name
        # Pillow says there what it calls the bytes in memory.
        unknown = isinstance(error, UnidentifiedImageError)
        why = 'no known format' if unknown else ' '.join(str(error).split())
        if not self.training:
            raise UserError(
                f'picture {path} cannot be decoded ({why}); replace it, or take it out'
            ) from error
        self.skipped[place] = str(path)
        MMLogger.get_current_instance().warning(f'skipped {path}: it cannot be decoded ({why})')
        if len(self.skipped) > max(1, self.skip_limit * len(self)):
            raise UserError(
                f'{len(self.skipped)} of {len(self)} training pictures cannot be decoded, more '
                f'than {self.skip_limit:.0%}; the last is {path}'
            )


def allowed_classes(index: Index) -> Tensor | None:
    """(C,) bool, the classes a set has pictures of; None where it has all."""
    found = torch.zeros(len(index.classes), dtype=torch.bool)
    found[index.labels] = True
    return None if found.all() else found
