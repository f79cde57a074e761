"""Follow one target through a video: `Tracker(model).init(image, box)`, then `.update(image)`.

Each frame: crop around the last box, locate, prefer small motion by a Hann window, map the best
cell's box back to the image, keep it on the image. The template is never updated.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch

from downstream.tracking.box import cxcywh_to_xywh
from downstream.tracking.crop import clip_box, cut, window_around
from downstream.tracking.head import decode

if TYPE_CHECKING:  # the model's `predict` mode comes here
    from downstream.tracking.model import OneStreamTracker


class Tracker:
    """State of one target: the template's tokens and the last box (xywh, pixels, float64).

    The model must be in eval mode.
    """

    def __init__(self, model: 'OneStreamTracker') -> None:
        self.model = model
        self.box: np.ndarray = np.zeros(4)
        self.template: torch.Tensor | None = None

    @torch.inference_mode()
    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        """Start on an image (H, W, 3) uint8 RGB at a box (4,) xywh, pixels.

        Raises UserError for a box without area.
        """
        model = self.model
        self.box = np.array(box, dtype=np.float64)
        window = window_around(self.box, model.template_factor)
        crop = cut(image, window, model.template_size, model.published)
        self.template = model.embed_template(_normalised(model, [crop]))[0]

    def update(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        """The box (4,) xywh in the next image and its score in (0, 1)."""
        return update_together([self], [image])[0]


@torch.inference_mode()
def update_together(
    trackers: list[Tracker], images: list[np.ndarray]
) -> list[tuple[np.ndarray, float]]:
    """`update` of several trackers of one model, as one batch through the network."""
    model = trackers[0].model
    templates = [tracker.template for tracker in trackers if tracker.template is not None]
    assert len(templates) == len(trackers), 'init comes before update'
    windows = [window_around(tracker.box, model.search_factor) for tracker in trackers]
    crops = [
        cut(image, window, model.search_size, model.published)
        for image, window in zip(images, windows)
    ]
    maps = model.locate(torch.stack(templates), _normalised(model, crops))
    boxes, scores = decode(maps, model.hann)
    found = cxcywh_to_xywh(boxes).double().cpu().numpy()
    if not np.isfinite(found).all():
        raise ValueError('OneStreamTracker: the network predicts NaN; its weights are broken')
    for tracker, window, box, image in zip(trackers, windows, found, images):
        height, width = image.shape[:2]
        placed = window.to_image(box, model.published)
        tracker.box = clip_box(placed, height, width, model.margin)
    return [(tracker.box, score) for tracker, score in zip(trackers, scores.tolist())]


def _normalised(model: 'OneStreamTracker', crops: list[np.ndarray]) -> torch.Tensor:
    """(S, S, 3) uint8 crops -> (B, 3, S, S) float32 on the model's device."""
    stacked = torch.from_numpy(np.stack(crops))
    return model.data_preprocessor.normalise(stacked.permute(0, 3, 1, 2))
