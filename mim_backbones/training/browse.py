"""Pictures of what a config trains on, after its pipeline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import MODELS, VISUALIZERS, DefaultScope
from mmengine.runner import Runner
from numpy.typing import NDArray
from torch import Tensor

from mim_backbones.errors import UserError
from mim_backbones.training.config import require_keys
from mim_backbones.training.launch import build_errors_in_one_line
from mim_backbones.training.overrides import DRAWERS
from mim_backbones.training.preflight import check_folders

HIDDEN = 0.25  # brightness of what a mask hides


def browse(cfg: Config, folder: str, count: int) -> str:
    """Write pictures of the first `count` training samples; returns a line on what was written.

    Raises:
        UserError: no training data, or a part of the config that cannot be built.
    """
    if count < 1:
        raise UserError(f'--count {count}: must be 1 or more')
    require_keys(cfg, 'recipe', 'train_dataloader.dataset')
    check_folders(cfg, 'train_dataloader')
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    scope = cfg.get('default_scope') or 'mmengine'
    with (
        DefaultScope.overwrite_default_scope(scope),
        build_errors_in_one_line(str(cfg.filename)),
    ):
        loader = {**cfg.train_dataloader, 'batch_size': 1, 'num_workers': 0}
        for key in ('persistent_workers', 'prefetch_factor', 'drop_last'):
            loader.pop(key, None)
        batches = Runner.build_dataloader(loader, seed=0)
        if hasattr(batches.dataset, 'bind'):  # sizes and masks follow the model
            MODELS.build(cfg.model).bind(batches.dataset)
        drawer = None
        if scope in DRAWERS:
            drawer = VISUALIZERS.build({'type': DRAWERS[scope][1], 'name': 'browse'})
            drawer.dataset_meta = batches.dataset.metainfo
    written = 0
    for written, batch in enumerate(batches, 1):
        if drawer is not None:
            draw_sample(drawer, batch, out, written)
        else:
            cv2.imwrite(str(out / f'{written:06d}.png'), picture_of(batch)[..., ::-1])
        if written == count:
            break
    return f'{out}: {written} pictures'


def draw_sample(drawer: Any, batch: Mapping[str, Any], out: Path, number: int) -> None:
    """A detection or segmentation sample, by its package's own visualizer."""
    image = batch['inputs'][0].permute(1, 2, 0).numpy()[..., ::-1]  # packed as BGR
    sample = batch['data_samples'][0].numpy()
    instances = sample.get('gt_instances')
    if instances is not None:
        if hasattr(instances.get('bboxes'), 'tensor'):
            instances.bboxes = instances.bboxes.tensor
        if hasattr(instances.get('masks'), 'to_ndarray'):
            instances.masks = instances.masks.to_ndarray().astype(bool)
    name = f'{number:06d}_{Path(sample.img_path).stem}.png'
    drawer.add_datasample(
        name, np.ascontiguousarray(image), sample, draw_pred=False, out_file=str(out / name)
    )


def picture_of(node: Any) -> NDArray:
    """Every image of a batch's first sample side by side, (H, W, 3) uint8 RGB; once more with what
    its mask hides in the dark."""
    found = list(images_of(node))
    if not found:
        raise UserError('browse_dataset.py: the samples hold no image')
    mask = node.get('mask')
    if mask is not None:
        height, width = found[0].shape[:2]
        hidden = cv2.resize(mask[0].numpy().astype(np.uint8), (width, height), interpolation=0)
        found.append(np.where(hidden[..., None] > 0, found[0] * HIDDEN, found[0]).astype(np.uint8))
    height = max(image.shape[0] for image in found)
    padded = [np.pad(one, ((0, height - len(one)), (0, 4), (0, 0))) for one in found]
    return np.concatenate(padded, 1)


def images_of(node: Any) -> Any:
    """The (H, W, 3) uint8 images in a batch of nested dicts."""
    if isinstance(node, Mapping):
        for value in node.values():
            yield from images_of(value)
    elif isinstance(node, Tensor) and node.ndim == 4 and node.shape[1] == 3:
        yield node[0].permute(1, 2, 0).numpy().astype(np.uint8)
