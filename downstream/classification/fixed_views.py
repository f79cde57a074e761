"""A fixed number of views of each training picture, whose features are computed once.

    view v of a picture      drawn by (seed, its name, v), whenever and wherever it is made
    before training          backbone -> `LinearGrid.pooled` of every view, kept on disk
    training                 samples are these vectors in place of pictures

Views go through the backbone one at a time, so that features do not depend on the batch they are
in: what comes from disk is bit for bit what would be computed. Without the hook the same views are
decoded and looked at in every epoch.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, get_dist_info
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from downstream.classification.pictures import LabelledPictures
from downstream.classification.probe import LinearGrid
from downstream.frozen.backbone import digest_of
from downstream.frozen.cache import Entry, FeatureCache, default_folder
from downstream.frozen.views import VIEWS, drawn_by
from downstream.registry import DATASETS, HOOKS
from mim_backbones.errors import UserError
from mim_backbones.training.distributed import undistributed
from mim_backbones.training.precision import autocast
from mim_backbones.training.steps.stand_in import StandIn


@DATASETS.register_module()
class FixedPictures(Dataset):
    """`views` samples for each training picture; index = view * pictures + picture.

    Args:
        views: of each picture; 1 is enough for a view that draws nothing.
        seed: of what is drawn, and of which pictures are labelled.
        options: of `LabelledPictures`.
    """

    def __init__(self, views: int = 1, seed: int = 0, **options: Any) -> None:
        self.pictures = LabelledPictures(split='train', seed=seed, **options)
        self.metainfo = self.pictures.metainfo
        self.plan = json.dumps(options['view'], sort_keys=True, default=str)
        self.views, self.seed = views, seed
        self.features: Tensor | None = None
        self.labels: list[int] = []

    def __len__(self) -> int:
        return self.views * len(self.pictures)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """As of `LabelledPictures`; inputs is (width,) float32 once features are there."""
        if self.features is not None:
            row = self.pictures.rows[index % len(self.pictures)]
            known = {'label': self.labels[index], 'name': row.name, 'held': row.held}
            return {'inputs': self.features[index].float(), **known}
        view, place = divmod(index, len(self.pictures))
        name = int(hashlib.sha256(self.pictures.rows[place].name.encode()).hexdigest()[:16], 16)
        with drawn_by(VIEWS, self.seed, name, view):
            return self.pictures[place]

    def key(self, index: int) -> str:
        """What the features of a view are kept as: files may be replaced."""
        view, place = divmod(index, len(self.pictures))
        row = self.pictures.rows[place]
        file = self.pictures.root / row.name
        if file.is_file():
            about = (file.stat().st_size, file.stat().st_mtime_ns)
        else:  # in an archive
            about = (zlib.crc32(row.store.read(row.name)), 0)
        said = [self.seed, view, row.name, *about]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]

    def read_from(self, features: Tensor, labels: list[int]) -> None:
        """(views * pictures, width), and a label of each."""
        self.features, self.labels = features, labels


@HOOKS.register_module()
class ReadFeatures(Hook):
    """Computes the features of `FixedPictures` for a `LinearGrid` before it trains.

    Args:
        dtype: that they are kept in, on disk and in memory: 'float32' or 'bfloat16'.
        cache_bytes: what features may take on disk, all of `cache_folder` together; 0: what is
            there is read, nothing is written.
        cache_folder: None: see `downstream/frozen/cache.py`.
        memory_bytes: what the features of a run may take in each process.

    Raises:
        UserError: the model or the data set is another, or there is too little memory.
    """

    def __init__(
        self,
        dtype: str = 'float32',
        cache_bytes: int = 64 * 2**30,
        cache_folder: str | None = None,
        memory_bytes: int = 16 * 2**30,
    ) -> None:
        self.dtype = getattr(torch, dtype)
        self.cache_bytes, self.memory_bytes = cache_bytes, memory_bytes
        self.cache_folder = Path(cache_folder or default_folder())

    def before_train(self, runner: Runner) -> None:
        model, views = undistributed(runner.model), runner.train_dataloader.dataset
        while isinstance(views, StandIn):
            views = views.inner
        if not (isinstance(model, LinearGrid) and isinstance(views, FixedPictures)):
            raise UserError('ReadFeatures: it is for a LinearGrid on FixedPictures; leave it out')
        size = len(views) * model.width * self.dtype.itemsize
        if size > self.memory_bytes:
            raise UserError(
                f'features of {len(views)} views take {size / 2**30:.3g} GiB of memory, more than '
                f'{self.memory_bytes / 2**30:.3g}; take fewer views, model.blocks or '
                "train_dataloader.dataset.share, dtype='bfloat16', or leave ReadFeatures out"
            )
        device = next(model.parameters()).device
        precision = getattr(runner.optim_wrapper, 'precision', 'fp32')
        prepared = runner.cfg.model.get('data_preprocessor')
        computed = (prepared, views.plan, model.vectors, precision, str(self.dtype))
        digest = digest_of(model.backbone, device, *computed)
        cache = FeatureCache(digest, self.cache_bytes, self.cache_folder)
        workers = runner.train_dataloader.num_workers
        with autocast(device.type, precision):
            views.read_from(*read_all(model, views, cache, self.dtype, workers))
        runner.logger.info(
            f'features of {len(views)} views, {size / 2**20:.0f} MiB, of which {cache.home} keeps '
            f'what fits'
        )


def read_all(
    model: LinearGrid, views: FixedPictures, cache: FeatureCache, dtype: torch.dtype, workers: int
) -> tuple[Tensor, list[int]]:
    """Features (views * pictures, width) and labels; what is not kept is computed, and kept.

    Several processes share the work as far as there is room on disk.
    """
    rank, processes = get_dist_info()
    if processes > 1:
        mine = [i for i in range(rank, len(views), processes) if cache.get(views.key(i)) is None]
        for _ in compute(model, views, mine, cache, dtype, workers):
            pass
        barrier()
    features = torch.empty(len(views), model.width, dtype=dtype)
    labels = [views.pictures.rows[i % len(views.pictures)].label for i in range(len(views))]
    missing = []
    for index in range(len(views)):
        entry = cache.get(views.key(index))
        if entry is None:
            missing.append(index)
        else:
            features[index] = entry.maps[0]
    for index, found, label in compute(model, views, missing, cache, dtype, workers):
        features[index], labels[index] = found, label
    return features, labels


@torch.no_grad()
def compute(
    model: LinearGrid,
    views: FixedPictures,
    indices: list[int],
    cache: FeatureCache,
    dtype: torch.dtype,
    workers: int,
) -> Iterator[tuple[int, Tensor, int]]:
    """Index, features (width,) and label of each; they are kept on disk."""
    training = model.training
    model.eval()
    samples: Iterable = DataLoader(Subset(views, indices), batch_size=None, num_workers=workers)
    for index, sample in zip(indices, samples):
        data = model.data_preprocessor({'inputs': sample['inputs'][None]})
        found = model.pooled(data['inputs'])[0].to('cpu', dtype)
        # What stands in for a picture that cannot be decoded is not kept in its name.
        if sample['name'] == views.pictures.rows[index % len(views.pictures)].name:
            side = sample['inputs'].shape[-1]
            cache.put(views.key(index), Entry((found,), (side, side)))
        yield index, found, sample['label']
    model.train(training)
