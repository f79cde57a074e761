"""A LaSOT folder of textured squares that move over noise: a target that is easy to follow."""

from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 96, 72


def write_sequences(root: Path, names: list[str], frames: int = 12) -> None:
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        folder = root / name.rsplit('-', 1)[0] / name
        (folder / 'img').mkdir(parents=True)
        background = rng.integers(0, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        side = 16 + 2 * (number % 3)
        start, end = rng.uniform(4, 50 - side, 2), rng.uniform(4, 66 - side, 2)
        boxes = []
        for index in range(frames):
            x, y = (start + (end - start) * index / frames).astype(int)
            image = background.copy()
            image[y : y + side, x : x + side] = (230, 200, 40 * (number % 5))
            cv2.imwrite(str(folder / 'img' / f'{index + 1:08d}.jpg'), image[..., ::-1])
            boxes.append(f'{x},{y},{side},{side}')
        (folder / 'groundtruth.txt').write_text('\n'.join(boxes) + '\n')
        for flags in ('full_occlusion.txt', 'out_of_view.txt'):
            (folder / flags).write_text(','.join(['0'] * frames) + '\n')


def write_lasot(root: Path, train: int = 4, test: int = 3, frames: int = 12) -> Path:
    """training_set.txt, testing_set.txt and their sequences."""
    for file, category, count in (('training_set', 'cube', train), ('testing_set', 'tile', test)):
        names = [f'{category}-{number + 1}' for number in range(count)]
        write_sequences(root, names, frames)
        (root / f'{file}.txt').write_text('\n'.join(names) + '\n')
    return root
