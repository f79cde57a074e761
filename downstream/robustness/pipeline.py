"""Corruption inside a data set's pipeline, right after a picture is decoded.

Annotations stay: the published sets keep their labels too, though elastic transform, zoom and
motion move pixels a little.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from torch.utils.data import Dataset

from downstream.cached_dataset import CachedDataset
from downstream.registry import TRANSFORMS
from downstream.robustness.conditions import NAMES, SEED, Conditions
from downstream.robustness.corrupt import corrupt, read_frost
from mim_backbones.errors import UserError


@TRANSFORMS.register_module()
class Corrupt(BaseTransform):
    """One corruption, for a config: stands after the transform that loads `img`.

    Args:
        corruption: its name.
        severity: 1 to 5.
        frost_pictures: folder with photographs of frost; without it frost is drawn.
        channel_order: of the picture, 'bgr' or 'rgb'; mmcv loads 'bgr'.
    """

    def __init__(
        self,
        corruption: str,
        severity: int,
        seed: int = SEED,
        frost_pictures: str | None = None,
        channel_order: str = 'bgr',
    ) -> None:
        self.corruption, self.severity, self.seed = corruption, severity, seed
        self.bgr = channel_order == 'bgr'
        self.photographs = read_frost(frost_pictures) if frost_pictures else []

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image = results['img']
        plain = np.ascontiguousarray(image[..., ::-1] if self.bgr and image.ndim == 3 else image)
        whole = plain.astype(np.uint8)  # some loaders give whole numbers as float32
        found = corrupt(
            whole, self.corruption, self.severity, identity(results), self.seed, self.photographs
        )
        found = found[..., ::-1] if self.bgr else found
        results['img'] = np.ascontiguousarray(found.astype(image.dtype))
        return results


def identity(results: dict[str, Any]) -> str:
    """What a picture is called wherever its data lie: its name and its folder's."""
    path = str(results.get('img_path') or results['sample_idx'])
    return '/'.join(path.replace('\\', '/').split('/')[-2:])


class Switch:
    """Says which corruption is on; loader workers that are running already hear it too."""

    def __init__(self) -> None:
        self.state = torch.zeros(2, dtype=torch.int64).share_memory_()  # place in NAMES, severity

    def turn(self, corruption: str, severity: int) -> None:
        self.state[0], self.state[1] = NAMES.index(corruption), severity

    def off(self) -> None:
        self.state[1] = 0

    @property
    def on(self) -> tuple[str, int] | None:
        place, severity = self.state.tolist()
        return (NAMES[place], severity) if severity else None


class SwitchedPipeline:
    """A pipeline that corrupts a picture as soon as one of its transforms has loaded it."""

    def __init__(
        self,
        transforms: Sequence[Callable[[dict], dict | None]],
        switch: Switch,
        frost_pictures: str = '',
    ) -> None:
        self.transforms = list(transforms)
        self.switch = switch
        self.corrupt = Corrupt('brightness', 1, frost_pictures=frost_pictures)

    def __call__(self, results: dict[str, Any] | None) -> dict[str, Any] | None:
        on = self.switch.on
        for transform in self.transforms:
            waits = on is not None and results is not None and 'img' not in results
            results = transform(results)
            if results is None:
                return None
            if waits and 'img' in results:
                self.corrupt.corruption, self.corrupt.severity = on
                results = self.corrupt(results)
        return results


def check_decodes(cfg: Config, task: str) -> None:
    """Whether the test set of a config decodes its pictures in a pipeline.

    Raises:
        UserError: it does not.
    """
    waiting = [cfg.test_dataloader.dataset]
    while waiting:
        dataset = waiting.pop()
        if dataset.get('pipeline'):
            return
        waiting += dataset.get('datasets') or [one for one in [dataset.get('dataset')] if one]
    raise UserError(
        f'--corruptions: {task} decodes its test pictures in no pipeline, so they cannot be '
        'corrupted; name the other tasks with --tasks'
    )


def make_corruptible(dataset: Dataset, conditions: Conditions) -> Switch:
    """Put a switch, still off, into the pipelines of a test set.

    Raises:
        UserError: it keeps what it has decoded.
    """
    switch = Switch()
    for one in _with_pipeline(dataset):
        one.pipeline = SwitchedPipeline(one.pipeline.transforms, switch, conditions.frost_pictures)
    return switch


def _with_pipeline(dataset: Any) -> Iterator[Any]:
    """The data sets that load pictures, below whatever wraps them."""
    if isinstance(dataset, CachedDataset):
        raise UserError(
            'the test set is a CachedDataset, which keeps its decoded pictures; corruptions need '
            'the data set without it'
        )
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    if inner != [None]:
        for one in inner:
            yield from _with_pipeline(one)
    elif hasattr(getattr(dataset, 'pipeline', None), 'transforms'):
        yield dataset
