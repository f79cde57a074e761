import numpy as np
import pytest
from mmengine.evaluator import Evaluator

from downstream.tracking.formats.layouts import LAYOUTS, read_tracks
from downstream.tracking.metric import LasotMetric
from downstream.tracking.scoring.curves import dataset_scores, sequence_curves
from downstream.tracking.scoring.frame_errors import frame_errors
from downstream.tracking.sequences import LasotSequences
from downstream.tracking.tracker import track_sequences
from mim_backbones.errors import UserError


@pytest.mark.parametrize('layout', LAYOUTS, ids=lambda layout: layout.name)
def test_the_metric_scores_tracks_and_writes_them(make_model, lasot_root, tmp_path, layout):
    dataset = LasotSequences(str(lasot_root))
    model = make_model().eval()
    target = tmp_path / ('results.zip' if layout.zipped else 'results')
    metric = LasotMetric('pytracking', str(target), layout.name)
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dataset.metainfo
    for sequence in dataset.sequences:
        batch = {'inputs': [sequence]}
        evaluator.process(model.val_step(batch), batch)
    found = evaluator.evaluate(len(dataset))
    tracks = track_sequences(model, dataset.sequences)
    curves = [
        sequence_curves(frame_errors(track.boxes, one.boxes, one.visible, 'pytracking'))
        for track, one in zip(tracks, dataset.sequences)
    ]
    assert found == pytest.approx(dataset_scores(curves, 'pytracking'))
    assert metric.units.names == ('tile-1', 'tile-2', 'tile-3')
    assert metric.units.observed() == pytest.approx(found, abs=1e-4)
    for name, results in read_tracks(target, metric.tracks).items():
        np.testing.assert_allclose(results.boxes[0], metric.tracks[name].boxes, atol=5.1e-4)
        if layout.name == 'pytracking':
            np.testing.assert_allclose(results.scores, metric.tracks[name].scores, atol=5.1e-7)


def test_unknown_protocol_and_format_of_the_metric():
    with pytest.raises(UserError, match="protocol 'vot'"):
        LasotMetric(protocol='vot')
    with pytest.raises(UserError, match="results 'vot'"):
        LasotMetric(results_format='vot')
    with pytest.raises(UserError, match=r'name it FILE\.zip'):
        LasotMetric(results_dir='out', results_format='trackingnet')
