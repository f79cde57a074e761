"""How fast this machine makes pictures: one process, one thread."""

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from downstream.synthetic.bank import texture_bank
from downstream.synthetic.build import one_opencv_thread
from downstream.synthetic.layouts import coco
from downstream.synthetic.picture_files import write_jpeg
from downstream.synthetic.render import render


def measure(px: int = 128, seconds: float = 2.0) -> dict[str, float]:
    """Detection pictures of px x px per second of CPU time: drawn, and drawn and written as JPEG.

    CPU time, so that other work on the machine does not count. seconds: how long each is run.
    """
    bank = texture_bank(0)

    def draw(index: int) -> np.ndarray:
        return render(coco.draw(0, 'train2017', index), (px, px), bank).image

    with TemporaryDirectory() as folder, one_opencv_thread():

        def draw_and_write(index: int) -> None:
            write_jpeg(Path(folder) / f'{index % 100}.jpg', draw(index))

        return {
            'rendered_per_second': _rate(draw, seconds),
            'written_per_second': _rate(draw_and_write, seconds),
        }


def _rate(make: Callable[[int], object], seconds: float) -> float:
    make(0)  # first-call costs
    start = time.process_time()
    done: Iterator[int] = count(1)
    for index in done:
        make(index)
        spent = time.process_time() - start
        if spent > seconds:
            return index / spent
    raise AssertionError('count() does not end')
