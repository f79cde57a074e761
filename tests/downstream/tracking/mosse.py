"""A correlation-filter tracker to beat: MOSSE (Bolme et al., CVPR 2010), on grey pixels.

A filter H, in the Fourier domain, that answers a patch around the target by a peak in its middle,
kept up to date by running means of its numerator and denominator:

    A <- r G F* + (1 - r) A    B <- r F F* + (1 - r) B    H* = A / (B + e)

The size stays the first frame's.
"""

import cv2
import numpy as np

from downstream.tracking.data import Sequence

SIDE = 64  # of the patches, pixels
SIGMA = 2.0  # of the wanted peak, pixels of the patch
RATE = 0.125  # of the running means, as published
FLOOR = 1e-2  # e


def mosse(sequence: Sequence, padding: float = 2.5) -> np.ndarray:
    """Boxes (T, 4) xywh; the patch is `padding` times the box."""
    x, y, w, h = sequence.boxes[0]
    centre, window = np.array([x + w / 2, y + h / 2]), np.array([w, h]) * padding
    axis = np.arange(SIDE) - SIDE // 2
    peak = np.fft.fft2(np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * SIGMA**2)))
    seen = _spectrum(sequence.read_frame(0), centre, window)
    above, below = peak * seen.conj(), seen * seen.conj()
    boxes = [sequence.boxes[0]]
    for index in range(1, len(sequence)):
        image = sequence.read_frame(index)
        answer = np.fft.ifft2(above / (below + FLOOR) * _spectrum(image, centre, window)).real
        row, column = np.unravel_index(answer.argmax(), answer.shape)
        centre = centre + np.array([column - SIDE // 2, row - SIDE // 2]) * window / SIDE
        seen = _spectrum(image, centre, window)
        above = RATE * peak * seen.conj() + (1 - RATE) * above
        below = RATE * seen * seen.conj() + (1 - RATE) * below
        boxes.append(np.array([*(centre - [w / 2, h / 2]), w, h]))
    return np.stack(boxes)


def _spectrum(image: np.ndarray, centre: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Of the grey patch, its logarithm standardised and faded to its edges: (SIDE, SIDE)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    width, height = (max(4, round(side)) for side in window.tolist())
    patch = cv2.getRectSubPix(grey, (width, height), tuple(centre.tolist()))
    patch = np.log1p(cv2.resize(patch, (SIDE, SIDE)))
    patch = (patch - patch.mean()) / (patch.std() + 1e-5)
    return np.fft.fft2(patch * np.outer(np.hanning(SIDE), np.hanning(SIDE)))
