"""Where the pixels and points of a picture go in large-scale jitter. Nothing here is drawn.

    flip -> resize so that the picture fits into scale x target -> crop to the target -> perhaps pad

as in ViTDet's release (detectron2, projects/ViTDet/configs/common/coco_loader_lsj.py). Sizes round
half to even; one number places the crop in both directions.
"""

from dataclasses import dataclass

import numpy as np

Size = tuple[int, int]  # height, width in pixels


@dataclass(frozen=True)
class Draws:
    """The random numbers of one sample.

    Attributes:
        flip: in [0, 1); mirrors when it is below the probability.
        scale: of the target.
        crop: in [0, 1], the share of what is cut away that is cut at the left and at the top.
    """

    flip: float
    scale: float
    crop: float


@dataclass(frozen=True)
class Jitter:
    """One sample's way from the picture to the network's input.

    Attributes:
        source: size of the picture.
        flipped: mirrored left to right, before anything else.
        resized: size of the whole picture after the resize.
        offset: (top, left) of the crop in the resized picture.
        target: size of the window that crops; a smaller picture stays smaller.
        pad: whether it is made as large as the target, at the right and at the bottom.
    """

    source: Size
    flipped: bool
    resized: Size
    offset: Size
    target: Size
    pad: bool = False

    @property
    def kept(self) -> Size:
        """Size of what the crop leaves of the picture."""
        return min(self.resized[0], self.target[0]), min(self.resized[1], self.target[1])

    @property
    def shape(self) -> Size:
        """Size of the result."""
        return self.target if self.pad else self.kept

    @property
    def factors(self) -> tuple[float, float]:
        """(x, y): resized pixels per pixel of the picture."""
        return self.resized[1] / self.source[1], self.resized[0] / self.source[0]

    def points(self, xy: np.ndarray) -> np.ndarray:
        """(N, 2) points of the picture -> of the resized one, before the crop. float64."""
        xy = np.array(xy, np.float64)
        if self.flipped:
            xy[:, 0] = self.source[1] - xy[:, 0]
        return xy * self.factors

    def boxes(self, xyxy: np.ndarray) -> np.ndarray:
        """(N, 4) boxes of the picture -> of the result, cut at its edges. float64."""
        ends = self.points(np.reshape(xyxy, (-1, 2))).reshape(-1, 2, 2)
        ends -= self.offset[::-1]
        low, high = ends.min(1), ends.max(1)
        edge = self.shape[::-1]
        return np.minimum(np.concatenate([low, high], 1).clip(0), (*edge, *edge))


def plan(source: Size, draws: Draws, target: Size, flip: float = 0.5, pad: bool = False) -> Jitter:
    """What the draws make of a picture.

    Args:
        flip: probability of being mirrored.
    """
    scale = np.minimum(*(np.multiply(target, draws.scale) / source))
    resized = np.round(np.multiply(source, scale)).astype(int).clip(1)
    offset = np.round(np.maximum(resized - target, 0) * draws.crop).astype(int)
    return Jitter(
        source=source,
        flipped=draws.flip < flip,
        resized=(int(resized[0]), int(resized[1])),
        offset=(int(offset[0]), int(offset[1])),
        target=target,
        pad=pad,
    )
