import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner

from downstream.tracking.box_text import read_boxes
from downstream.tracking.data import LasotSequences
from downstream.tracking.evaluate import evaluate
from downstream.tracking.metric import LasotMetric
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner

RECIPE = 'configs/downstream/tracking/one-stream_vit_smoke_lasot.py'


def test_scores_curves_files_and_picture(make_model, lasot_root, tmp_path):
    sequences = LasotSequences(str(lasot_root)).sequences
    picture_path, results = tmp_path / 'tracks.png', tmp_path / 'boxes'
    found = evaluate(make_model(), sequences, picture_path=picture_path, results_dir=results)
    assert set(found.metrics) == {'AUC', 'P', 'P_norm'}
    assert all(0 <= value <= 100 for value in found.metrics.values())
    assert list(found.units.names) == ['tile-1', 'tile-2', 'tile-3']
    again = found.units.score(np.ones((1, 3), int))
    for name, value in found.metrics.items():
        assert again[name][0] == pytest.approx(value, abs=1e-4)
    for track in found.tracks:
        written = read_boxes(results / f'{track.name}.txt')
        np.testing.assert_allclose(written, track.boxes, atol=5e-4)
    picture = cv2.imread(str(picture_path))
    assert picture.shape[0] > 3 * 150
    assert picture.shape[1] > 5 * 150


def test_metric_equals_the_task(make_model, lasot_root, tmp_path):
    dataset = LasotSequences(str(lasot_root))
    model = make_model().eval()
    evaluator = Evaluator(LasotMetric(protocol='pytracking', results_dir=str(tmp_path)))
    evaluator.dataset_meta = dataset.metainfo
    for sequence in dataset.sequences:
        batch = {'inputs': [sequence]}
        evaluator.process(model.val_step(batch), batch)
    metrics = evaluator.evaluate(len(dataset))
    expected = evaluate(model, dataset.sequences, protocol='pytracking').metrics
    assert {f'lasot/{name}': value for name, value in expected.items()} == pytest.approx(metrics)
    assert len(list(tmp_path.glob('*.txt'))) == 3


def test_unknown_protocol():
    with pytest.raises(UserError, match="protocol='vot'"):
        LasotMetric(protocol='vot')


def test_recipe_trains_and_tests(lasot_root, tmp_path, request):
    """The recipe as it is, two steps of it, with mmengine's Runner."""
    options = {
        'train_dataloader.dataset.root': str(lasot_root),
        'test_dataloader.dataset.root': str(lasot_root),
        'train_dataloader.batch_size': 4,
        'train_cfg.max_iters': 2,
        'work_dir': str(tmp_path),
    }
    cfg: Config = read_config(request.config.rootpath / RECIPE, options)
    runner: Runner = build_runner(cfg)
    runner.train()
    metrics = runner.test()
    assert {'lasot/AUC', 'lasot/P', 'lasot/P_norm'} <= set(metrics)
