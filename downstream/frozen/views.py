"""A fixed number of views of each image: what augmentation becomes when features are kept.

View v of an image is drawn by (seed, image, v), whenever and wherever it is made, so that its
features are the same for every epoch, process and run. Where they are kept, the picture is not even
decoded: a blank of its size goes through the same transforms, for the labels.
"""

import hashlib
import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.runner import Runner
from torch.utils.data import Dataset

from downstream.frozen.cache import FeatureCache
from downstream.registry import DATASETS, HOOKS
from mim_backbones.errors import UserError
from mim_backbones.training.distributed import undistributed
from mim_backbones.training.steps.draws import seed_all
from mim_backbones.training.steps.stand_in import StandIn

VIEWS = 2  # a stream of draws beside those of training/steps/draws.py
LONGEST_PATH = 4096
FILES = ('img_path', 'seg_map_path')


@DATASETS.register_module()
class FixedViews(Dataset):
    """`views` samples for each image of a data set; index = view * images + image.

    Args:
        dataset: config of an mmdet or mmseg dataset (or such a dataset), whose own pipeline is
            empty.
        pipeline: transforms, the first of which loads the picture and the last packs the sample.
        views: of each image.
        seed: of what is drawn; `mimbench eval` puts the job's in.

    Raises:
        UserError: the pipeline starts with something else than loading.
    """

    def __init__(
        self, dataset: dict | Dataset, pipeline: list[dict], views: int = 1, seed: int = 0
    ) -> None:
        self.dataset = ROOT_DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if not pipeline or pipeline[0].get('type') != 'LoadImageFromFile':
            raise UserError('FixedViews: the first transform must be LoadImageFromFile')
        self.plan = json.dumps(pipeline, sort_keys=True, default=str)
        self.load, self.rest = Compose(pipeline[:1]), Compose(pipeline[1:])
        self.views, self.seed = views, seed
        # Shared memory: loader workers are running before the backbone has its weights.
        self.place = torch.zeros(LONGEST_PATH, dtype=torch.uint8).share_memory_()
        self.kept: FeatureCache | None = None

    @property
    def metainfo(self) -> dict:
        return self.dataset.metainfo

    def full_init(self) -> None:
        self.dataset.full_init()

    def __len__(self) -> int:
        return self.views * len(self.dataset)

    def get_data_info(self, index: int) -> dict[str, Any]:
        return self.dataset.get_data_info(index % len(self.dataset))

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The packed sample, with

        feature_key: what the features are kept as, a name that no other data have;
        view: what to draw by, the same wherever the data are;
        kept_maps: the features, where they are kept.
        """
        view, image = divmod(index, len(self.dataset))
        info = self.dataset.get_data_info(image)
        key = self._key(info, view)
        entry = None if self._cache() is None else self._cache().get(key)
        name = int(hashlib.sha256(Path(info['img_path']).name.encode()).hexdigest()[:16], 16)
        with drawn_by(VIEWS, self.seed, name, view):
            if entry is None:
                results = self.load(info)
            else:
                blank = np.zeros((*entry.picture, 3), np.uint8)
                results = {**info, 'img': blank, 'img_shape': entry.picture}
                results['ori_shape'] = entry.picture
            packed = self.rest(results)
        sample = packed['data_samples']
        sample.set_metainfo({'feature_key': key, 'view': (self.seed, name, view)})
        if entry is not None:
            sample.set_data({'kept_maps': entry.maps})
        return packed

    def read_from(self, cache: FeatureCache) -> None:
        """Look for features in a cache, in this process and in loader workers that run already."""
        path = os.fsencode(cache.home)
        self.place[: len(path)] = torch.frombuffer(bytearray(path), dtype=torch.uint8)

    def _cache(self) -> FeatureCache | None:
        if self.kept is None and self.place[0]:
            home = Path(os.fsdecode(bytes(self.place.tolist()).rstrip(b'\0')))
            self.kept = FeatureCache(home.name, 0, home.parent)
        return self.kept

    def _key(self, info: dict[str, Any], view: int) -> str:
        """Of one view: transforms may look at annotations, and files may be replaced."""
        about = [os.stat(info[key]) for key in FILES if info.get(key)]
        states = [(each.st_size, each.st_mtime_ns) for each in about]
        text = json.dumps([self.seed, view, info, states], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@contextmanager
def drawn_by(*entropy: int) -> Iterator[None]:
    """Draw by these numbers inside, and go on afterwards as if nothing had been drawn."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    seed_all(*entropy)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])


@HOOKS.register_module()
class KeepFeatures(Hook):
    """Brings a model `OnFrozenBackbone` and its `FixedViews` together before training."""

    def before_train(self, runner: Runner) -> None:
        model = undistributed(runner.model)
        views = fixed_views(runner.train_dataloader.dataset)
        device = next(model.parameters()).device
        model.open_cache(device, runner.cfg.model.data_preprocessor, views.plan)
        views.read_from(model.cache)
        runner.logger.info(
            f'{len(views)} views of {len(views.dataset)} images; features in '
            f'{model.cache.home}, at most {model.cache_bytes / 2**30:.1f} GiB with all others'
        )


def fixed_views(dataset: Any) -> FixedViews:
    """That which a chain of data sets holds. Raises UserError when there is none."""
    while not isinstance(dataset, FixedViews):
        inner = 'inner' if isinstance(dataset, StandIn) else 'dataset'
        if not hasattr(dataset, inner):
            raise UserError('KeepFeatures: train_dataloader.dataset holds no downstream.FixedViews')
        dataset = getattr(dataset, inner)
    return dataset
