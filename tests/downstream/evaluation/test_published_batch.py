"""Recipes of published trainings name their batch, and it is reached on the usual machines."""

import pytest

from downstream.evaluation.job_config import batch_of
from downstream.evaluation.protocols import recipes
from mim_backbones.training.config import open_config

PUBLISHED = {
    name: recipe.path
    for name, recipe in recipes().items()
    if recipe.protocol.tier == 'full' and recipe.protocol.framework != 'k-NN'  # trains nothing
}


@pytest.mark.parametrize('name', PUBLISHED)
def test_a_published_batch_is_the_same_on_1_to_16_processes(name: str) -> None:
    cfg = open_config(PUBLISHED[name])
    assert cfg.auto_scale_lr.base_batch_size > 1
    found = [batch_of(cfg, processes) for processes in (1, 2, 4, 8, 16)]
    assert {batch.images for batch in found} == {cfg.auto_scale_lr.base_batch_size}
    assert {batch.rate for batch in found} == {1.0}
