"""What downstream tests share: weights of a very small ViT, jobs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TINY_VIT = {
    'type': 'mim_backbones.MIMViT',
    'arch': {'embed_dim': 48, 'depth': 4, 'num_heads': 3},
    'img_size': 64,
    'patch_size': 8,
    'pos_embed': 'sincos',
    'mask_token': True,
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fingerprints of a test's files stay with the test."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture(scope='session')
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as pre-training writes it, of a ViT that nothing has trained."""
    import torch

    from mim_backbones.registry import MODELS

    torch.manual_seed(1)
    backbone = MODELS.build(dict(TINY_VIT))
    path = tmp_path_factory.mktemp('runs') / 'simmim' / 'epoch_2.pth'
    path.parent.mkdir()
    state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    record = {'method': 'SimMIM', 'backbone': TINY_VIT}
    torch.save({'state_dict': state, 'meta': {'mimbench': record}}, path)
    return path


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., Any]:
    """(task, weights or None, changed fields...) -> a smoke job of the very small ViT."""
    from downstream.evaluation.backbone_config import family_of
    from downstream.evaluation.job import Job
    from downstream.evaluation.protocols import find_protocol
    from downstream.results.result import Checkpoint
    from downstream.task import DataCard

    def make(task: str, weights: Path | None = None, **changes: Any) -> Job:
        if 'recipe' not in changes:
            recipe = find_protocol(task, 'smoke', family_of(changes.get('backbone', TINY_VIT)))
            changes = {'protocol': recipe.protocol, 'recipe': str(recipe.path), **changes}
        fields = {
            'name': 'test',
            'checkpoint': Checkpoint(str(weights), 'f' * 64) if weights else None,
            'method': 'none',
            'backbone': TINY_VIT,
            'seed': 0,
            'card': DataCard(name='test', root='', fingerprint='0', train=1, val=1),
            'out': str(tmp_path / 'out'),
        }
        return Job(**{**fields, **changes})

    return make


@pytest.fixture
def train_job() -> Callable[..., Any]:
    """(job, spec) -> what the task found after training, in this process."""
    from downstream.evaluation.job_config import job_config
    from downstream.evaluation.progress import Progress
    from downstream.task import find_task
    from mim_backbones.training.launch import build_runner

    def train(job: Any, spec: Any) -> Any:
        runner = build_runner(job_config(job, spec))
        runner.train()
        return find_task(job.task).run(runner, Progress(None))

    return train
