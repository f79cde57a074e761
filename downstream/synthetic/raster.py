"""From outlines and textures to pixels: the two primitives `render` paints with.

A transform is a (2, 3) affine matrix. Pixel coordinates have whole numbers at pixel corners.
"""

from typing import NamedTuple

import cv2
import numpy as np

from downstream.synthetic.bank import TILE, TextureBank
from downstream.synthetic.scene import Texture

_WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_SUBPIXEL_BITS = 4


class Window(NamedTuple):
    """A rectangle of the picture, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """outer(inner(x)) of two (2, 3) transforms."""
    both = outer[:, :2] @ inner
    both[:, 2] += outer[:, 2]
    return both


def place(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """(N, 2) points through a (2, 3) transform."""
    return points @ transform[:, :2].T + transform[:, 2]


def magnification(transform: np.ndarray) -> float:
    """Square root of the area a unit square gets."""
    (a, b, _), (c, d, _) = transform
    return abs(a * d - b * c) ** 0.5


def coverage(contours: list[np.ndarray], window: Window) -> np.ndarray:
    """uint8 (height, width): 255 inside the contours (pixels, even-odd), soft at the edge."""
    # OpenCV's whole numbers are pixel middles, ours are pixel corners.
    origin = (window.x + 0.5, window.y + 0.5)
    fixed = [np.round((c - origin) * 2**_SUBPIXEL_BITS).astype(np.int32) for c in contours]
    mask = np.zeros((window.height, window.width), np.uint8)
    return cv2.fillPoly(mask, fixed, 255, cv2.LINE_AA, _SUBPIXEL_BITS)


def surface(
    texture: Texture, from_picture: np.ndarray, window: Window, bank: TextureBank
) -> np.ndarray:
    """uint8 RGB (height, width, 3) of the window: the texture's colours.

    from_picture: (2, 3), pixels to the coordinates of the surface the texture lies on.
    """
    c, s = np.cos(texture.angle) * texture.scale, np.sin(texture.angle) * texture.scale
    to_tile = compose(np.array([[c, -s, 0.0], [s, c, 0.0]]), from_picture)
    tile = bank.tile(texture.family, texture.variant, TILE * magnification(to_tile))
    period = len(tile) // 2
    # The window's first pixel has its middle at +0.5; a texel's middle is at -0.5 for OpenCV;
    # the surface's origin falls on the middle of the doubled tile, moved by the offset.
    first = place(np.array([window.x + 0.5, window.y + 0.5]), to_tile)
    matrix = period * to_tile
    matrix[:, 2] = period * (first + texture.offset + 0.5) - 0.5
    size = (window.width, window.height)
    if texture.tilt == 0:
        grey = cv2.warpAffine(tile, matrix, size, flags=_WARP, borderMode=cv2.BORDER_WRAP)
    else:
        matrix = np.vstack([matrix, [0, texture.tilt / window.height, 1 - texture.tilt / 2]])
        grey = cv2.warpPerspective(tile, matrix, size, flags=_WARP, borderMode=cv2.BORDER_WRAP)
    return cv2.applyColorMap(grey, texture.palette)
