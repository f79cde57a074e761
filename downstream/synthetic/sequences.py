"""Draw sequences: `rng -> MovingScene`. All randomness of a moving picture is here.

The target's path is drawn in the picture, so that it stays in view unless it is meant to leave;
everything else moves in the world. Curves are arrays over the T frames; positions in the picture
are in units of its height, 0..aspect and 0..1, whatever the camera does. Two events can happen: a
slab slides over the target ('occlusion'), and the target leaves the picture for a while ('exit').
"""

from dataclasses import dataclass, replace

import numpy as np

from downstream.synthetic.classes import CLUTTER, OBJECT_CLASSES, object_label
from downstream.synthetic.sampler import draw_grounds, draw_light, draw_thing
from downstream.synthetic.scene import Camera, Scene, Thing
from downstream.synthetic.shapes import draw_shape

# What happens in the sequences of a set, in turn.
EVENTS = (('occlusion',), ('exit',), ('occlusion', 'exit'), ())


@dataclass(frozen=True)
class Motion:
    """One thing over T frames."""

    centre: np.ndarray  # (T, 2)
    angle: np.ndarray  # (T,)
    radius: np.ndarray  # (T,)


@dataclass(frozen=True)
class MovingScene:
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


def draw_sequence(
    rng: np.random.Generator, label: int, events: tuple[str, ...], frames: int, aspect: float
) -> MovingScene:
    """label: class of the target. events: from EVENTS. The target is wholly seen at frame 0."""
    cameras = draw_cameras(rng, frames)
    stage = Scene(aspect=aspect, grounds=draw_grounds(rng, aspect), things=(), **draw_light(rng))
    moments = dict(zip(events, rng.uniform([0.32, 0.68], [0.42, 0.76])))
    radius = rng.uniform(0.11, 0.21)
    half = np.array([aspect, 1]) / 2
    path = half + wander(rng, frames, 2) * (half - radius)
    if 'exit' in moments:
        path = leave(path, radius, aspect, moments['exit'])
    target, motion = draw_target(rng, label, radius, _to_world(path, stage, cameras), cameras)

    behind, before = draw_others(rng, target, aspect, frames)
    cast = [*behind, (target, motion), *before]
    if 'occlusion' in moments:
        hiding = _to_world(
            slide_over(rng, path, 1.5 * radius, moments['occlusion']), stage, cameras
        )
        slab = replace(
            draw_thing(rng, CLUTTER, tuple(hiding[0]), 1.5 * radius),
            contours=draw_shape('slab', rng),
            stretch=1.0,
        )
        size = slab.radius / np.array([min(camera.zoom, 1.0) for camera in cameras])
        cast.append((slab, Motion(hiding, np.full(frames, slab.angle), size)))
    return MovingScene(
        scene=replace(stage, things=tuple(thing for thing, _ in cast)),
        target=len(behind),
        motions=tuple(curve for _, curve in cast),
        cameras=cameras,
        exposure=1 + 0.12 * wander(rng, frames, 1)[:, 0],
    )


def draw_cameras(rng: np.random.Generator, frames: int) -> tuple[Camera, ...]:
    """A hand-held camera that pans, zooms and rolls."""
    path, amount = wander(rng, frames, 4), rng.random(4)
    shake = rng.normal(0, 0.004 * rng.random(), (frames, 2))
    shift = path[:, :2] * 0.5 * amount[:2] + shake
    zoom = np.exp(0.25 * amount[2] * path[:, 2])
    roll = 0.15 * amount[3] * path[:, 3]
    return tuple(
        Camera((float(x), float(y)), float(z), float(r)) for (x, y), z, r in zip(shift, zoom, roll)
    )


def draw_target(
    rng: np.random.Generator,
    label: int,
    radius: float,
    centre: np.ndarray,
    cameras: tuple[Camera, ...],
) -> tuple[Thing, Motion]:
    """The target on its path in the world (T, 2): it spins, sways, grows and shrinks."""
    frames = len(cameras)
    thing = draw_thing(rng, label, tuple(centre[0]), radius)
    sway, growth = wander(rng, frames, 2).T
    spin = rng.normal(0, 0.02) * np.arange(frames)
    zoom = np.array([camera.zoom for camera in cameras])
    return thing, Motion(
        centre=centre,
        angle=thing.angle + spin + 0.5 * (sway - sway[0]),
        # Divided by a zoom above 1: the slab that may slide over it allows for no more growth.
        radius=radius * np.exp(0.25 * rng.random() * (growth - 1)) / np.maximum(zoom, 1),
    )


Cast = list[tuple[Thing, Motion]]


def draw_others(
    rng: np.random.Generator, target: Thing, aspect: float, frames: int
) -> tuple[Cast, Cast]:
    """The things behind and before the target, in a world larger than the picture.

    Two are of the target's class, one of them in its colours, to distract.
    """
    behind: Cast = []
    before: Cast = []
    for number in range(int(rng.integers(6, 13))):
        radius = rng.uniform(0.05, 0.2)
        centre = rng.uniform([-0.4, -0.4], [aspect + 0.4, 1.4])
        label = object_label(int(rng.integers(len(OBJECT_CLASSES))))
        thing = draw_thing(rng, target.label if number < 2 else label, tuple(centre), radius)
        if number == 0:
            texture = replace(thing.texture, palette=target.texture.palette)
            thing = replace(thing, texture=texture)
        near = np.hypot(*(centre - target.centre)) < radius + target.radius
        side = behind if near or rng.random() < 0.6 else before
        side.append((thing, draw_drift(rng, thing, frames)))
    return behind, before


def draw_drift(rng: np.random.Generator, thing: Thing, frames: int) -> Motion:
    """A thing that drifts and turns about where it was drawn; one in three stays."""
    amount = rng.uniform(0.03, 0.35) * (rng.random() < 0.67)
    path = wander(rng, frames, 3)
    return Motion(
        centre=thing.centre + amount * (path[:, :2] - path[0, :2]),
        angle=thing.angle + 2 * amount * path[:, 2],
        radius=np.full(frames, thing.radius),
    )


def _to_world(path: np.ndarray, stage: Scene, cameras: tuple[Camera, ...]) -> np.ndarray:
    """(T, 2) in the picture -> in the world, for each frame's camera."""
    worlds = []
    for point, camera in zip(path, cameras):
        transform = replace(stage, camera=camera).to_picture(1)
        worlds.append(np.linalg.solve(transform[:, :2], point - transform[:, 2]))
    return np.array(worlds)


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
