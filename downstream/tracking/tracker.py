"""Follow targets through videos: `Tracker(model).init(image, box)`, then `.update(image)`.

Each frame: crop around the last box, locate, prefer small motion by a Hann window, map the best
cell's box back to the image, keep it on the image. The template is never updated.

`track_sequences` runs several sequences side by side, one batch through the network per step; each
is tracked as it would be alone. The next frames are read while the network runs.
"""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from downstream.tracking.box import cxcywh_to_xywh
from downstream.tracking.crop import clip_box, cut, window_around
from downstream.tracking.data import Sequence
from downstream.tracking.head import HeadMaps, decode

READERS = 2


class Locator(Protocol):
    """What a tracker asks of its model; see `model.OneStreamTracker`."""

    template_size: int
    search_size: int
    template_factor: float
    search_factor: float
    margin: float
    published: bool
    hann: Tensor

    def normalise(self, crops: Tensor) -> Tensor: ...

    def embed_template(self, template: Tensor) -> Tensor: ...

    def locate(self, template: Tensor, search: Tensor) -> HeadMaps: ...


@dataclass(frozen=True, eq=False)
class Track:
    """What a tracker found: boxes (T, 4) float64 xywh and scores (T,); the first are given, 1."""

    name: str
    boxes: np.ndarray
    scores: np.ndarray


class Tracker:
    """State of one target: the template's tokens and the last box (xywh, pixels, float64).

    The model must be in eval mode.
    """

    def __init__(self, model: Locator) -> None:
        self.model = model
        self.box: np.ndarray = np.zeros(4)
        self.template: Tensor | None = None

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


def _normalised(model: Locator, crops: list[np.ndarray]) -> Tensor:
    """(S, S, 3) uint8 crops -> (B, 3, S, S) float32 on the model's device."""
    stacked = torch.from_numpy(np.stack(crops))
    return model.normalise(stacked.permute(0, 3, 1, 2))


class _Run:
    """One sequence on its way."""

    def __init__(self, model: Locator, sequence: Sequence, readers: Executor) -> None:
        self.sequence = sequence
        self.readers = readers
        self.asked = 0
        self.tracker = Tracker(model)
        self.boxes = [sequence.boxes[0]]
        self.scores = [1.0]
        self._ask()
        self.tracker.init(self.next_frame(), sequence.boxes[0])

    @property
    def finished(self) -> bool:
        return len(self.boxes) == len(self.sequence)

    def next_frame(self) -> np.ndarray:
        """The next frame, asked for while the network ran; asks for the one after it."""
        frame = self.frame.result()
        if self.asked < len(self.sequence):
            self._ask()
        return frame

    def _ask(self) -> None:
        self.frame = self.readers.submit(self.sequence.read_frame, self.asked)
        self.asked += 1

    def track(self) -> Track:
        return Track(self.sequence.name, np.stack(self.boxes), np.array(self.scores))


def track_sequences(model: Locator, sequences: list[Sequence]) -> list[Track]:
    """A track for each sequence, in their order; the model must be in eval mode.

    Sequences of about one length fill the batch best (`sequences.LasotSequences`).
    Raises UserError for a frame that cannot be read.
    """
    with ThreadPoolExecutor(READERS) as readers:
        runs = [_Run(model, sequence, readers) for sequence in sequences]
        while active := [run for run in runs if not run.finished]:
            images = [run.next_frame() for run in active]
            found = update_together([run.tracker for run in active], images)
            for run, (box, score) in zip(active, found):
                run.boxes.append(box)
                run.scores.append(score)
    return [run.track() for run in runs]
