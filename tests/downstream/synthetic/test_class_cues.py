"""Colour does not tell the classes apart; shape and texture do."""

from dataclasses import replace

import numpy as np
import pytest

from downstream.synthetic.bank import texture_bank
from downstream.synthetic.classes import OBJECT_CLASSES
from downstream.synthetic.layouts import imagenet
from downstream.synthetic.render import render

PER_CLASS = 24
LABELS = np.arange(len(OBJECT_CLASSES) * PER_CLASS) % len(OBJECT_CLASSES)


@pytest.fixture(scope='module')
def objects():
    """(image, mask) of large objects, one at a time on their grounds."""
    found = []
    for index in range(len(LABELS)):
        scene = imagenet.draw(0, 'train', index)
        largest = max(scene.things, key=lambda thing: thing.radius)
        centred = replace(largest, centre=(0.5, 0.5), radius=0.45, stretch=1.0)
        rendering = render(replace(scene, things=(centred,)), (64, 64), texture_bank(0))
        found.append((rendering.image, rendering.instances == 1))
    return found


def nearest_neighbour(features: np.ndarray, answers: np.ndarray) -> float:
    """Share of objects whose nearest other object, by L1, has the same answer."""
    distance = np.abs(features[:, None] - features[None]).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    return float((answers[distance.argmin(axis=1)] == answers).mean())


def test_colour_tells_the_texture_at_best_never_its_two_classes(objects):
    histograms = []
    for image, mask in objects:
        bins = (image[mask] // 43).astype(int) @ [36, 6, 1]
        histograms.append(np.bincount(bins, minlength=216) / mask.sum())
    histograms = np.array(histograms)
    assert nearest_neighbour(histograms, LABELS) < 0.5  # two classes share every texture
    # Within the two classes of one texture, colour is a coin toss.
    textures = indices('texture')
    tosses = [nearest_neighbour(histograms[textures == t], LABELS[textures == t]) for t in range(4)]
    assert np.mean(tosses) < 0.65


def indices(part: str) -> np.ndarray:
    """Number of each object's shape or texture."""
    families = [getattr(c, part) for c in OBJECT_CLASSES]
    return np.unique(families, return_inverse=True)[1][LABELS]


def test_outlines_tell_the_shape_but_not_the_class(objects):
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    rays = np.linspace(0, 31, 48)
    columns = (32 + rays * np.cos(angles)[:, None]).astype(int)
    rows = (32 + rays * np.sin(angles)[:, None]).astype(int)
    # Rotation invariant: magnitudes over the angle.
    profiles = [np.abs(np.fft.rfft(mask[rows, columns], axis=0))[:10] for _, mask in objects]
    profiles = np.array(profiles).reshape(len(objects), -1)
    assert nearest_neighbour(profiles, indices('shape')) > 0.8  # chance 0.25
    assert nearest_neighbour(profiles, LABELS) < 0.65  # no shape belongs to one class


def test_autocorrelation_tells_the_texture(objects):
    features = []
    for image, mask in objects:
        grey = image.mean(axis=2)
        grey = (grey - grey[mask].mean()) / grey[mask].std() * mask
        # Sums over the pairs of object pixels at each lag, and the number of such pairs.
        sums, pairs = (np.fft.ifft2(np.abs(np.fft.fft2(f)) ** 2).real for f in (grey, mask))
        lags = np.fft.fftshift(sums / pairs.clip(1))[20:45, 20:45]
        features.append(np.sort(lags, axis=None))
    assert nearest_neighbour(np.array(features), indices('texture')) > 0.45  # chance 0.25
