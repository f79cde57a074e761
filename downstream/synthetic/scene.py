"""What a picture shows, apart from its pixels.

World coordinates: x to the right, y down, the picture is 1 high and `aspect` wide before the
camera moves. A thing's local coordinates: its outline lies in the unit disc.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Texture:
    """A window of a bank tile and its colours."""

    family: str
    variant: int
    offset: tuple[float, float]  # of the window's centre, in tiles, 0..1
    angle: float  # radians
    scale: float  # tiles per unit length of the surface it lies on
    palette: np.ndarray  # (256, 1, 3) uint8 RGB: grey value -> colour
    tilt: float = 0.0  # perspective over the picture's height: 0 from above; grounds only


@dataclass(frozen=True)
class Ground:
    """One area of background. outline: (N, 2) in world coordinates; None covers everything."""

    texture: Texture
    outline: np.ndarray | None


@dataclass(frozen=True)
class Thing:
    """One object. Even-odd filling of the contours, so a second contour inside is a hole."""

    label: int  # 1..8, 0: clutter
    contours: tuple[np.ndarray, ...]  # each (N, 2) in local coordinates
    texture: Texture
    centre: tuple[float, float]
    radius: float
    angle: float  # radians
    stretch: float  # second axis relative to the first, 0..1
    relief: float  # strength of the shading, 0: flat
    shadow: float  # darkness of the shadow it throws, 0..1

    def to_world(self) -> np.ndarray:
        """(2, 3): local to world."""
        c, s = np.cos(self.angle) * self.radius, np.sin(self.angle) * self.radius
        return np.array(
            [[c, -s * self.stretch, self.centre[0]], [s, c * self.stretch, self.centre[1]]]
        )


@dataclass(frozen=True)
class Camera:
    """Where the picture looks: world point in its middle (relative to rest), zoom and roll."""

    shift: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    roll: float = 0.0


@dataclass(frozen=True)
class Scene:
    """Grounds and things from back to front, light, and the camera."""

    aspect: float  # width / height
    grounds: tuple[Ground, ...]
    things: tuple[Thing, ...]
    light: np.ndarray  # (3, 3) brightness over the picture, about 1
    light_angle: float  # radians, where the light comes from
    noise: float  # standard deviation, grey values
    noise_corner: tuple[int, int]
    blur: float = 0.0  # standard deviation as a share of the height
    camera: Camera = field(default_factory=Camera)

    def to_picture(self, height: int) -> np.ndarray:
        """(2, 3): world to pixel corners (0..width, 0..height) of a picture of this height."""
        zoom = self.camera.zoom * height
        c, s = np.cos(self.camera.roll) * zoom, np.sin(self.camera.roll) * zoom
        linear = np.array([[c, -s], [s, c]])
        middle = np.array([self.aspect, 1.0]) / 2
        return np.column_stack(
            [linear, height * middle - linear @ (middle + np.array(self.camera.shift))]
        )
