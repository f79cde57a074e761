import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from downstream.evaluation.protocols import recipes
from downstream.tracking.task import TASK
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner

RECIPES = [one.path for one in recipes().values() if one.protocol.task == 'tracking']


@pytest.mark.parametrize('recipe', RECIPES, ids=lambda path: path.stem)
def test_a_recipe_trains_and_the_task_scores_it(recipe, lasot_root, tmp_path):
    """The recipe as it is, two steps of it, with mmengine's Runner; its loop scores."""
    options = {
        'train_dataloader.dataset.root': str(lasot_root),
        'test_dataloader.dataset.root': str(lasot_root),
        'train_dataloader.batch_size': 4,
        'train_cfg.max_iters': 2,
        'work_dir': str(tmp_path),
    }
    cfg: Config = read_config(recipe, options)
    runner: Runner = build_runner(cfg)
    runner.train()
    found = TASK.run(runner, None)
    assert set(found.metrics) == set(TASK.metrics)
    assert all(0 <= value <= 100 for value in found.metrics.values())
    assert found.units.names == ('tile-1', 'tile-2', 'tile-3')
    (png,) = found.pictures.values()
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[0] > 3 * 150
    assert picture.shape[1] > 5 * 150
