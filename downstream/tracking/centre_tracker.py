"""What the trackers of this package have in common: two crops in, a centre head's box out.

    template, search -> features of the search crop that know the template -> CenterHead -> box
    L = focal + 2 (1 - GIoU) + 5 L1

head: head.py   loss: losses.py   data: pairs.py   while tracking: tracker.py
How the two crops meet is each tracker's own: model.py (one stream), two_branch.py.
"""

from abc import abstractmethod

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor

from downstream.registry import MODELS
from downstream.tracking.data import Sequence
from downstream.tracking.head import HeadMaps, decode, hann_window
from downstream.tracking.losses import tracking_losses
from downstream.tracking.redetection import Redetection
from downstream.tracking.tracker import Track, track_sequences
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD, Normalise


@MODELS.register_module()
class CropPreprocessor(BaseDataPreprocessor):
    """Batches of crops, (B, 3, S, S) uint8 RGB -> float32, (x / 255 - mean) / std.

    On the device: a quarter of the bytes travel.

    Args:
        mean, std: per channel, of images in [0, 1].
    """

    def __init__(
        self,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
    ) -> None:
        super().__init__(non_blocking=True)
        self.pixels = Normalise(mean, std, white=255)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise `inputs` where it is a dict of crops; whole sequences pass through."""
        data = self.cast_data(data)
        if isinstance(data['inputs'], dict):
            data['inputs'] = {name: self.normalise(x) for name, x in data['inputs'].items()}
        return data

    def normalise(self, crops: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) uint8, any device -> float32 on the preprocessor's."""
        return self.pixels(crops.to(self.pixels.mean.device, non_blocking=True))


class CentreTracker(BaseModel):
    """A backbone and a centre head; `embed_template` and `look` are left to the subclass.

    Args:
        backbone: its config.
        stride: pixels of a crop for a cell of the features that the head reads.
        template_size, search_size: side of the crops in pixels, multiples of the stride.
        template_factor, search_factor: side of the crops in mean sides of the target.
        loss_weights: of `tracking_losses`: focal_weight, giou_weight, l1_weight.
        margin: while tracking, no box is smaller or less far inside the image than this (pixels).
        size_inertia: while tracking, share of the last box's size in the next one's (of their
            logarithms); 0 as published. A size that a frame gets wrong is the crop of the next, so
            errors multiply.
        confidence: while tracking, the two numbers that make a score a probability
            (scoring/platt.py); None leaves it as it is.
        redetection: while tracking, arguments of Redetection (redetection.py); None never looks
            elsewhere.
        published: repeat the published code's slips (crop.py, elimination.py).

    `asks_box`: whether `embed_template` reads where in its crop the target is.

    Raises:
        ValueError: a crop is not a multiple of the stride.
    """

    asks_box = False

    def __init__(
        self,
        stride: int,
        template_size: int = 128,
        search_size: int = 256,
        template_factor: float = 2.0,
        search_factor: float = 4.0,
        loss_weights: dict | None = None,
        margin: float = 10,
        size_inertia: float = 0.0,
        confidence: tuple[float, float] | None = None,
        redetection: dict | None = None,
        published: bool = False,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        # Named here as well, so that importing this module registers it.
        preprocessor = data_preprocessor or {'type': CropPreprocessor}
        super().__init__(MODELS.build(preprocessor), init_cfg)
        for name, size in (('template_size', template_size), ('search_size', search_size)):
            if size % stride:
                raise ValueError(
                    f'{type(self).__name__}: {name}={size} is not a multiple of the '
                    f"features' stride {stride}"
                )
        self.template_size, self.search_size = template_size, search_size
        self.template_cells, self.search_cells = template_size // stride, search_size // stride
        self.template_factor, self.search_factor = template_factor, search_factor
        self.loss_weights = loss_weights or {}
        self.margin = margin
        self.size_inertia = size_inertia
        self.confidence = confidence
        self.redetection = None if redetection is None else Redetection(**redetection)
        self.published = published
        self.register_buffer('hann', hann_window(self.search_cells), persistent=False)

    def forward(
        self,
        inputs: dict[str, Tensor] | list[Sequence],
        boxes: Tensor | None = None,
        template_boxes: Tensor | None = None,
        mode: str = 'tensor',
    ) -> HeadMaps | dict[str, Tensor] | list[Track]:
        """What mmengine's loops call.

        mode 'tensor': inputs = {template (B, 3, T, T), search (B, 3, S, S)} -> HeadMaps
        mode 'loss': the same with boxes (B, 4), xywh as fractions of the search crop -> losses
        mode 'predict': inputs = list of sequences, tracked side by side -> one Track for each

        template_boxes: (B, 4), the target in the template crop; None where it fills the middle.
        """
        if isinstance(inputs, list):
            assert mode == 'predict'
            return track_sequences(self, inputs)
        template = inputs['template']
        if template_boxes is None:
            template_boxes = self._middle_boxes(template)
        maps = self.locate(self.embed_template(template, template_boxes), inputs['search'])
        if mode == 'tensor':
            return maps
        assert mode == 'loss'
        assert boxes is not None
        predicted, _ = decode(maps)
        return tracking_losses(maps.score, predicted, boxes.float(), **self.loss_weights)

    def normalise(self, crops: Tensor) -> Tensor:
        """(B, 3, S, S) uint8, any device -> what `embed_template` and `look` take."""
        return self.data_preprocessor.normalise(crops)

    @abstractmethod
    def embed_template(self, template: Tensor, boxes: Tensor) -> tuple[Tensor, ...]:
        """What a tracker keeps of its template, the batch first in each tensor.

        template: (B, 3, T, T), normalised. boxes: (B, 4), the target in it, xywh as fractions.
        """

    @abstractmethod
    def look(self, template: tuple[Tensor, ...], search: Tensor) -> Tensor:
        """What `embed_template` gave and search crops (B, 3, S, S), normalised -> (B, C, n, n)."""

    def locate(self, template: tuple[Tensor, ...], search: Tensor) -> HeadMaps:
        """All maps of `look`'s features."""
        return self.head(self.look(template, search))

    def remember(self, crops: Tensor, boxes: Tensor) -> tuple[Tensor, ...]:
        """`embed_template` of crops (B, T, T, 3) uint8; see `tracker.Locator`."""
        template = self.normalise(crops.permute(0, 3, 1, 2))
        return self.embed_template(template, boxes.to(template.device))

    def find(
        self, template: tuple[Tensor, ...], crops: Tensor, anywhere: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Boxes and scores in crops (B, S, S, 3) uint8; see `tracker.Locator`.

        anywhere: the middle is not preferred.
        """
        feature = self.look(template, self.normalise(crops.permute(0, 3, 1, 2)))
        return self.head.best(feature, None if anywhere else self.hann)

    def _middle_boxes(self, template: Tensor) -> Tensor:
        """A square target in the middle of each template crop, as it is cut: (B, 4)."""
        side = 1 / self.template_factor
        box = [(1 - side) / 2, (1 - side) / 2, side, side]
        return template.new_tensor(box).expand(len(template), -1)
