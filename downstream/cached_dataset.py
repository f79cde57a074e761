"""Keep decoded, resized images in memory between epochs; only the random part runs again.

The smoke tiers see each of a few hundred small images many times: without this, decoding costs a
single core as much as the training step.
"""

import copy
import pickle
from typing import Any

import cv2
from mmengine.dataset import Compose
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS as ROOT_DATASETS
from torch.utils.data import Dataset

from downstream.registry import DATASETS
from mim_backbones.errors import UserError

# What mmcv's loaders raise for bytes that are no image: cv2 returns None, which they assert on, or
# refuses an empty file; the others come from pillow, which reads the label maps.
UNREADABLE = (AssertionError, cv2.error, OSError, SyntaxError, ValueError)


@DATASETS.register_module()
class CachedDataset(Dataset):
    """A dataset whose own pipeline holds the fixed part, and the random part after it.

    An image that cannot be decoded is named, left out and replaced by the next one.

    Args:
        dataset: config of an mmdet or mmseg dataset (or such a dataset); its pipeline must draw
            no random numbers.
        pipeline: transforms that run at every visit, packing included.
        limit_mib: memory the cache may take; samples beyond it are loaded each time.
        skip_limit: largest tolerated share of images that cannot be decoded.
    """

    def __init__(
        self,
        dataset: dict | Dataset,
        pipeline: list[dict],
        limit_mib: int = 1024,
        skip_limit: float = 0.01,
    ) -> None:
        self.dataset = ROOT_DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.pipeline = Compose(pipeline)
        self.budget = limit_mib * 2**20
        self.skip_limit = skip_limit
        self.samples: dict[int, bytes] = {}
        self.skipped: dict[int, str] = {}

    @property
    def metainfo(self) -> dict:
        return self.dataset.metainfo

    def full_init(self) -> None:
        self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict:
        """The sample, after both pipelines.

        Raises:
            UserError: too many images cannot be decoded; names the last one.
        """
        for step in range(len(self)):
            sample = self._fixed((index + step) % len(self))
            # None is a transform's way to refuse a sample (mmcv): the next one takes its place.
            done = None if sample is None else self.pipeline(sample)
            if done is not None:
                return done
        raise UserError('the training data has no usable image: the transforms refuse all of them')

    def _fixed(self, index: int) -> dict[str, Any] | None:
        if index in self.skipped:
            return None
        if index in self.samples:
            return pickle.loads(self.samples[index])
        try:
            sample = self.dataset.pipeline(copy.deepcopy(self.dataset.get_data_info(index)))
        except UNREADABLE as error:
            self._skip(index, error)
            return None
        stored = pickle.dumps(sample, protocol=pickle.HIGHEST_PROTOCOL)
        if len(stored) <= self.budget:
            self.budget -= len(stored)
            self.samples[index] = stored
        return sample

    def _skip(self, index: int, error: Exception) -> None:
        path = self.dataset.get_data_info(index).get('img_path', f'image {index}')
        self.skipped[index] = path
        MMLogger.get_current_instance().warning(f'skipped {path}: it cannot be decoded ({error})')
        if len(self.skipped) > self.skip_limit * len(self):
            raise UserError(
                f'{len(self.skipped)} of {len(self)} training images cannot be decoded, more than '
                f'{self.skip_limit:.0%}; the last is {path}'
            )
