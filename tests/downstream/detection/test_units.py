import numpy as np
import pytest

from downstream.detection.units import IOU_THRESHOLDS, DetectionUnits, MatchTable
from downstream.results.result import load_units
from tests.downstream.detection.worlds import oracle, random_world, repeated, scored


@pytest.mark.parametrize('seed', range(8))
def test_equals_pycocotools_on_really_repeated_images(seed):
    coco, found = random_world(seed)
    units = scored(coco, found)
    weights = np.random.default_rng(seed).multinomial(len(units), [1 / len(units)] * len(units), 4)
    scores = units.score(weights)
    for r, row in enumerate(weights):
        expected = oracle(*repeated(coco, found, row))
        assert {name: values[r] for name, values in scores.items()} == pytest.approx(
            expected, abs=1e-6
        )


def test_hand_worked_average_precision():
    # One category, two images with one object each. By falling score: right in image 0, wrong in
    # image 1, right in image 1. Recall 1/2 at precision 1, recall 1 at precision 2/3: 51 of the 101
    # levels (0 to 0.50) get 1, the other 50 get 2/3.
    right = np.array([True, False, True])[:, None] & np.ones((1, len(IOU_THRESHOLDS)), bool)
    table = MatchTable(
        image=np.array([0, 1, 1]),
        category=np.zeros(3, int),
        score=np.array([0.9, 0.8, 0.7]),
        matched=right,
        ignored=np.zeros_like(right),
    )
    units = DetectionUnits(['a', 'b'], np.ones((2, 1)), {'box': table})
    assert units.observed()['box_mAP'] == pytest.approx(100 * (51 + 50 * 2 / 3) / 101)
    # Image 0 twice: recall 2/3 at precision 1 (67 levels), then 3/4.
    # Image 1 alone: wrong, then right: precision 1/2 everywhere. No image: nothing to score.
    scores = units.score(np.array([[2, 1], [0, 1], [0, 0]]))['box_mAP']
    assert scores[:2] == pytest.approx([100 * (67 + 34 * 3 / 4) / 101, 50.0])
    assert np.isnan(scores[2])


def test_comes_back_from_its_file(tmp_path):
    units = scored(*random_world(1))
    again = load_units(units.save(tmp_path / 'x.units.npz'))
    assert again.names == units.names
    assert again.observed() == units.observed()


def test_weights_are_one_for_each_unit():
    with pytest.raises(ValueError, match=r'expected \(resamples, 12\)'):
        scored(*random_world(0)).score(np.ones(12))
