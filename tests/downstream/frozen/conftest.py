"""What probes of frozen backbones share: checkpoints of each family, recipes shrunk to seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from downstream.evaluation.protocols import recipes

VIT = {
    'type': 'mim_backbones.MIMViT', 'img_size': 64, 'patch_size': 8, 'mask_token': True,
    'arch': {'embed_dim': 48, 'depth': 4, 'num_heads': 3},
}  # fmt: skip
SWIN = {
    'type': 'mim_backbones.MIMSwin', 'img_size': 64, 'window_size': 4, 'mask_token': True,
    'arch': {'embed_dim': 24, 'depths': (1, 2, 1, 1), 'num_heads': (1, 2, 4, 8)},
}  # fmt: skip
HIERA = {
    'type': 'mim_backbones.MIMHiera', 'img_size': 64, 'q_pool': 2, 'mask_token': True,
    'arch': {'embed_dim': 24, 'depths': (1, 1, 2, 1), 'num_heads': 1},
}  # fmt: skip
FAMILIES = {'vit': VIT, 'swin': SWIN, 'hiera': HIERA}
PROXIES = {
    name: one
    for name, one in recipes().items()
    if one.protocol.tier == 'proxy' and one.protocol.task in ('detection', 'segmentation')
}

LOADERS = {
    f'{split}_dataloader.{key}': value
    for split in ('train', 'test')
    for key, value in (('num_workers', 0), ('persistent_workers', False))
}
PIXELS = (64, 64)
SEGMENTATION = {
    'model.data_preprocessor.size': PIXELS,
    'model.backbone.img_size': 64,
    'model.test_cfg.crop_size': PIXELS,
    'model.test_cfg.stride': (42, 42),
    'train_dataloader.dataset.pipeline.2.scale': (256, 64),
    'train_dataloader.dataset.pipeline.3.crop_size': PIXELS,
    'test_dataloader.dataset.pipeline.1.scale': (256, 64),
}
DETECTION = {
    'model.data_preprocessor.pad_size_divisor': 64,
    'model.backbone.img_size': 64,
    'train_dataloader.dataset.pipeline.2.scale': PIXELS,
    'test_dataloader.dataset.pipeline.1.scale': PIXELS,
    # Few regions and narrow heads: they are stock.
    'model.train_cfg.rcnn.sampler.num': 16,
    'model.train_cfg.rpn_proposal.max_per_img': 50,
    'model.test_cfg.rpn.max_per_img': 20,
    'model.roi_head.bbox_head.conv_out_channels': 16,
    'model.roi_head.bbox_head.fc_out_channels': 16,
    'model.roi_head.mask_head.conv_out_channels': 16,
}


def shrunk(task: str) -> dict[str, Any]:
    """Options over a proxy recipe: 64 px, batches of 2, no workers."""
    sizes = DETECTION if task == 'detection' else SEGMENTATION
    batch = {'train_dataloader.batch_size': 2, 'auto_scale_lr.base_batch_size': 2}
    return {**LOADERS, **sizes, **batch}


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """(family, seed) -> a file as pre-training writes it, of a backbone nothing has trained."""

    def write(family: str, seed: int = 1) -> Path:
        import torch

        from mim_backbones.registry import MODELS

        torch.manual_seed(seed)
        recorded = FAMILIES[family]
        state = MODELS.build(dict(recorded)).state_dict()
        path = tmp_path_factory.mktemp('runs') / 'simmim' / 'epoch_2.pth'
        path.parent.mkdir()
        content = {f'backbone.{key}': value for key, value in state.items()}
        record = {'method': 'SimMIM', 'backbone': recorded}
        torch.save({'state_dict': content, 'meta': {'mimbench': record}}, path)
        return path

    return write


@pytest.fixture
def proxy_job(make_job: Callable[..., Any]) -> Callable[..., Any]:
    """(protocol, checkpoint, iterations, options, changed fields...) -> a shrunk proxy job."""

    def make(name: str, file: Path, iterations: int = 3, options: Any = None, **fields: Any) -> Any:
        recipe = PROXIES[name]
        task, family = recipe.protocol.task, recipe.protocol.family
        counted = {} if name.startswith('knn') else {'train_cfg.max_iters': iterations}
        return make_job(
            task, file, backbone=FAMILIES[family], protocol=recipe.protocol,
            recipe=str(recipe.path), options={**shrunk(task), **counted, **(options or {})},
            **fields,
        )  # fmt: skip

    return make


@pytest.fixture(autouse=True)
def _plain_config_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """mmengine formats a config six times a run, which takes longer than all the rest of these."""
    from mmengine.config import Config

    def text(cfg: Config) -> str:
        return '\n'.join(f'{key} = {value!r}' for key, value in cfg.to_dict().items())

    monkeypatch.setattr(Config, 'pretty_text', property(text))
