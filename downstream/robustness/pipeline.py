"""Corruption inside a data set's pipeline, right after a picture is decoded.

A classifier's test picture is corrupted behind its view, as ImageNet-C's are: cut to 224 px first.

Annotations stay: the published sets keep their labels too, though elastic transform, zoom and
motion move pixels a little.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from torch import Tensor
from torch.utils.data import Dataset

from downstream.cached_dataset import CachedDataset
from downstream.registry import DATASETS, TRANSFORMS
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


class SwitchedPictures:
    """For data sets without a pipeline: pictures that were corrupted already, or are behind a view.

    Args:
        files: see `Conditions`.
    """

    def __init__(self, switch: Switch, files: str = '', frost_pictures: str = '') -> None:
        self.switch, self.files = switch, files
        self.frost = read_frost(frost_pictures) if frost_pictures else []

    def file(self, class_name: str, name: str) -> Path | None:
        """The corrupted file of a picture; None where it is not read from one."""
        on = self.switch.on
        if on is None or not self.files:
            return None
        return corrupted_folder(self.files, on[0]) / str(on[1]) / class_name / Path(name).name

    def corrupted(self, square: Tensor, name: str) -> Tensor:
        """(3, H, W) uint8 RGB -> the same, corrupted if that is on and it comes from no file."""
        on = self.switch.on
        if on is None or self.files:
            return square
        image = np.ascontiguousarray(square.permute(1, 2, 0).numpy())
        found = corrupt(image, *on, '/'.join(name.split('/')[-2:]), SEED, self.frost)
        return torch.from_numpy(np.ascontiguousarray(found)).permute(2, 0, 1).contiguous()


@cache
def corrupted_folder(files: str, corruption: str) -> Path:
    """FILES/CORRUPTION, or where the archives' names are kept FILES/noise/CORRUPTION."""
    plain = Path(files) / corruption
    return plain if plain.is_dir() else next(Path(files).glob(f'*/{corruption}'), plain)


def check_files(conditions: Conditions) -> None:
    """Raises UserError where a folder of corrupted pictures that is asked for is not there."""
    for corruption, severity in conditions.pairs() if conditions.files else ():
        folder = corrupted_folder(conditions.files, corruption) / str(severity)
        if not folder.is_dir():
            raise UserError(
                f'{folder} is not there; name fewer --corruptions or --severities, or leave '
                '`corrupted` out of the data file to corrupt the pictures here'
            )


def check_decodes(cfg: Config, task: str) -> None:
    """Whether the test set of a config decodes in a pipeline, or lets its pictures be switched.

    Raises:
        UserError: it does not.
    """
    waiting = [cfg.test_dataloader.dataset]
    while waiting:
        dataset = waiting.pop()
        kind = dataset.get('type')
        if dataset.get('pipeline') or (kind and hasattr(DATASETS.get(kind), 'switched')):
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
        if hasattr(one, 'switched'):
            one.switched = SwitchedPictures(switch, conditions.files, conditions.frost_pictures)
            continue
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
    elif hasattr(dataset, 'switched') or hasattr(getattr(dataset, 'pipeline', None), 'transforms'):
        yield dataset
