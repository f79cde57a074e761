"""Sequences: a scene whose things and camera move, and the curves they move on.

Curves are arrays over the T frames of a sequence. Positions in the picture are in units of its
height, 0..aspect and 0..1, whatever the camera does.
"""

from dataclasses import dataclass, replace

import numpy as np

from downstream.synthetic.scene import Camera, Scene


@dataclass(frozen=True)
class Motion:
    """One thing over T frames."""

    centre: np.ndarray  # (T, 2)
    angle: np.ndarray  # (T,)
    radius: np.ndarray  # (T,)


@dataclass(frozen=True)
class Sequence:
    """A scene and how it changes."""

    scene: Scene
    target: int  # index into scene.things
    motions: tuple[Motion, ...]  # one per thing
    cameras: tuple[Camera, ...]  # one per frame
    exposure: np.ndarray  # (T,) about 1

    def __len__(self) -> int:
        return len(self.cameras)

    def frame(self, t: int) -> Scene:
        """The scene at frame t."""
        row, column = self.scene.noise_corner
        things = tuple(
            replace(
                thing,
                centre=tuple(motion.centre[t]),
                angle=float(motion.angle[t]),
                radius=float(motion.radius[t]),
            )
            for thing, motion in zip(self.scene.things, self.motions)
        )
        return replace(
            self.scene,
            things=things,
            camera=self.cameras[t],
            light=self.scene.light * np.float32(self.exposure[t]),
            noise_corner=(row + 37 * t, column + 101 * t),
        )


def wander(rng: np.random.Generator, frames: int, dimensions: int) -> np.ndarray:
    """(T, dimensions) smooth paths within -1..1, of about a cycle in fifty frames."""
    time = np.arange(frames)[:, None] / 50
    cycles, phase = rng.uniform(0.3, 1.2, (2, dimensions)), rng.uniform(0, 1, (2, dimensions))
    cycles[1] *= 1.7
    waves = [np.sin(2 * np.pi * (c * time + p)) for c, p in zip(cycles, phase)]
    return 0.7 * waves[0] + 0.3 * waves[1]


def plateau(frames: int, middle: float, half: float) -> np.ndarray:
    """(T,): 0, smoothly up to 1 around `middle`, 0 again; `middle` and `half` in shares of T."""
    distance = np.abs(np.arange(frames) / frames - middle) / half
    rise = np.clip((1.6 - distance) / 0.8, 0, 1)
    return rise * rise * (3 - 2 * rise)


def leave(path: np.ndarray, radius: float, aspect: float, middle: float) -> np.ndarray:
    """Bend a path in the picture (T, 2) so that it is outside around `middle` (share of T)."""
    x, y = path[int(middle * len(path))]
    side = int(np.argmin([x, aspect - x, y, 1 - y]))
    outside = (-1.5 * radius, aspect + 1.5 * radius, -1.5 * radius, 1 + 1.5 * radius)[side]
    gone = plateau(len(path), middle, half=0.1)
    bent = path.copy()
    bent[:, side // 2] += gone * (outside - path[:, side // 2])
    return bent


def slide_over(
    rng: np.random.Generator, path: np.ndarray, radius: float, middle: float
) -> np.ndarray:
    """(T, 2): a path that coincides with `path` at `middle` and is far from it before and after."""
    direction = rng.uniform(0, 2 * np.pi)
    time = (np.arange(len(path)) - round(middle * len(path))) / max(2.0, 0.09 * len(path))
    offset = 1.5 * radius * time**3  # flat in the middle: hidden for several frames
    return path + offset[:, None] * [np.cos(direction), np.sin(direction)]
