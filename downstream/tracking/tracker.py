"""Follow targets through videos: `Tracker(model).init(image, box)`, then `.update(image)`.

Each frame: crop around the last box, locate, prefer small motion by a Hann window, map the best
cell's box back to the image, keep it on the image. The template is embedded once, never updated.

`track_sequences` runs several sequences side by side, one batch through the network per step; each
is tracked as it would be alone. The next frames are read while the network runs.
"""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from operator import itemgetter
from time import perf_counter
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from downstream.tracking.box import cxcywh_to_xywh
from downstream.tracking.crop import CropWindow, clip_box, cut, window_around
from downstream.tracking.data import Sequence
from downstream.tracking.redetection import Redetection
from downstream.tracking.scoring.platt import calibrated

READERS = 2


class Locator(Protocol):
    """What a tracker asks of its model: `CentreTracker`, or an exported one (deploy/).

    The first may have `redetection` too, and then takes find(.., anywhere=True), which does not
    prefer the middle; that is not in an exported graph.
    """

    template_size: int
    search_size: int
    template_factor: float
    search_factor: float
    margin: float
    size_inertia: float
    confidence: tuple[float, float] | None
    published: bool

    def remember(self, crops: Tensor, boxes: Tensor) -> tuple[Tensor, ...]:
        """What is kept of template crops (B, T, T, 3) uint8, the batch first in each tensor.

        boxes: (B, 4) float32, the target in the crop, xywh as fractions.
        """
        ...

    def find(self, template: tuple[Tensor, ...], crops: Tensor) -> tuple[Tensor, Tensor]:
        """Search crops (B, S, S, 3) uint8 -> boxes (B, 4), cxcywh as fractions, and scores (B,)."""
        ...


@dataclass(frozen=True, eq=False)
class Track:
    """What a tracker found: boxes (T, 4) float64 xywh and scores (T,); the first are given, 1.

    seconds: (T,) of each frame without reading it, shared with those tracked side by side.
    """

    name: str
    boxes: np.ndarray
    scores: np.ndarray
    seconds: np.ndarray


class Tracker:
    """State of one target: the template's tokens and the last box (xywh, pixels, float64).

    The model must be in eval mode.
    """

    def __init__(self, model: Locator) -> None:
        self.model = model
        self.box: np.ndarray = np.zeros(4)
        self.template: tuple[Tensor, ...] = ()
        self.redetection: Redetection | None = getattr(model, 'redetection', None)
        self.frames_lost = 0

    @torch.inference_mode()
    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        """Start on an image (H, W, 3) uint8 RGB at a box (4,) xywh, pixels.

        Raises UserError for a box without area.
        """
        model = self.model
        self.box = np.array(box, dtype=np.float64)
        self.frames_lost = 0
        window = window_around(self.box, model.template_factor)
        crop = cut(image, window, model.template_size, model.published)
        inside = window.to_crop(self.box, model.template_size, model.published)
        boxes = torch.from_numpy(inside[None]).float()
        kept = model.remember(torch.from_numpy(crop[None]), boxes)
        self.template = tuple(part[0] for part in kept)

    def update(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        """The box (4,) xywh in the next image and its score in (0, 1)."""
        return update_together([self], [image])[0]


@torch.inference_mode()
def update_together(
    trackers: list[Tracker], images: list[np.ndarray]
) -> list[tuple[np.ndarray, float]]:
    """`update` of several trackers of one model, as one batch through the network."""
    model = trackers[0].model
    assert all(tracker.template for tracker in trackers), 'init comes before update'
    windows = [window_around(tracker.box, model.search_factor) for tracker in trackers]
    found = _look(list(zip(trackers, images, windows)))
    for index, (tracker, image) in enumerate(zip(trackers, images)):
        tracker.box, score = found[index]
        if tracker.redetection is not None:
            found[index] = _again(tracker.redetection, tracker, image, score)
    scores = np.array([score for _, score in found])
    if model.confidence is not None:
        scores = calibrated(scores, model.confidence)
    return [(tracker.box, score) for tracker, score in zip(trackers, scores.tolist())]


def _again(
    redetection: Redetection, tracker: Tracker, image: np.ndarray, score: float
) -> tuple[np.ndarray, float]:
    """Where the target is and its score: as found near its last place, unless elsewhere."""
    tracker.frames_lost = tracker.frames_lost + 1 if score < redetection.lost else 0
    if redetection.is_due(tracker.frames_lost):
        windows = redetection.windows(tracker.box, image.shape[:2], tracker.model.search_factor)
        looks = [(tracker, image, window) for window in windows]
        box, best = max(_look(looks, anywhere=True), key=itemgetter(1))
        if best >= redetection.found:
            tracker.box, tracker.frames_lost = box, 0
            return box, best
    return tracker.box, score


def _look(
    looks: list[tuple[Tracker, np.ndarray, CropWindow]], **how: bool
) -> list[tuple[np.ndarray, float]]:
    """The box, xywh in the image, and the score of each tracker in a window of its image."""
    model = looks[0][0].model
    crops = [cut(image, window, model.search_size, model.published) for _, image, window in looks]
    template = tuple(torch.stack(parts) for parts in zip(*(one.template for one, _, _ in looks)))
    boxes, scores = model.find(template, torch.from_numpy(np.stack(crops)), **how)
    found = cxcywh_to_xywh(boxes).double().cpu().numpy()
    if not np.isfinite(found).all():
        raise ValueError('OneStreamTracker: the network predicts NaN; its weights are broken')
    placed = []
    for (tracker, image, window), box in zip(looks, found):
        height, width = image.shape[:2]
        inside = damped(window.to_image(box, model.published), tracker.box[2:], model.size_inertia)
        placed.append(clip_box(inside, height, width, model.margin))
    return list(zip(placed, scores.double().tolist()))


def damped(box: np.ndarray, last_size: np.ndarray, inertia: float) -> np.ndarray:
    """xywh about its own centre, its size last^inertia * own^(1 - inertia); last: (2,)."""
    size = last_size**inertia * box[2:] ** (1 - inertia)
    return np.concatenate([box[:2] + (box[2:] - size) / 2, size])


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
        first = self.next_frame()
        start = perf_counter()
        self.tracker.init(first, sequence.boxes[0])
        self.seconds = [perf_counter() - start]

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
        found = (np.stack(self.boxes), np.array(self.scores), np.array(self.seconds))
        return Track(self.sequence.name, *found)


def track_sequences(model: Locator, sequences: list[Sequence]) -> list[Track]:
    """A track for each sequence, in their order; the model must be in eval mode.

    Sequences of about one length fill the batch best (`sequences.LasotSequences`).
    Raises UserError for a frame that cannot be read.
    """
    with ThreadPoolExecutor(READERS) as readers:
        runs = [_Run(model, sequence, readers) for sequence in sequences]
        while active := [run for run in runs if not run.finished]:
            images = [run.next_frame() for run in active]
            start = perf_counter()
            found = update_together([run.tracker for run in active], images)
            share = (perf_counter() - start) / len(active)
            for run, (box, score) in zip(active, found):
                run.boxes.append(box)
                run.scores.append(score)
                run.seconds.append(share)
    return [run.track() for run in runs]
