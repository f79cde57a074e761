"""One batch as a recipe's own data pipeline makes it, from pictures of noise.

Items differ from method to method (a mask, two views, neither): the pipeline knows, a benchmark
need not.
"""

import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner
from PIL import Image

from mim_backbones.errors import UserError

SIDE = 256  # pixels of a picture; the pipeline crops and resizes it
ONLY_FOR_WORKERS = ('persistent_workers', 'prefetch_factor', 'multiprocessing_context', 'timeout')


def noise_batch(cfg: Config, batch: int, model: Any = None) -> Any:
    """The first batch of `cfg.train_dataloader` with its images replaced by noise.

    model: tells the data set what it wants of it, where it has `bind`.

    Raises:
        UserError: the recipe does not read a folder of images.
    """
    loader = ConfigDict(copy.deepcopy(cfg.get('train_dataloader') or {}))
    dataset = loader.get('dataset') or {}
    if 'root' not in dataset:
        raise UserError(
            f'config {cfg.filename}: train_dataloader.dataset has no `root`, a folder of images; '
            'take a pre-training recipe'
        )
    for key in ONLY_FOR_WORKERS:
        loader.pop(key, None)
    if 'samples_per_epoch' in loader.get('sampler', {}):
        loader.sampler.samples_per_epoch = batch
    loader.update(batch_size=batch, num_workers=0)
    with TemporaryDirectory(prefix='mimbench-') as folder:
        write_noise(Path(folder), batch)
        loader.dataset.root = folder
        built = Runner.build_dataloader(loader, seed=0)
        if hasattr(model, 'bind'):
            model.bind(built.dataset)
        return next(iter(built))


def write_noise(folder: Path, count: int) -> None:
    """`count` JPEGs of SIDE x SIDE random pixels, the same each time."""
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f'{i:06d}.jpg')
