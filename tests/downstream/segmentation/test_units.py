import numpy as np
import pytest

from downstream.results.result import load_units
from downstream.segmentation.units import SegmentationUnits

# Two images, three classes; class 2 is neither labelled nor predicted anywhere.
INTERSECT = np.array([[6, 1, 0], [0, 4, 0]])
PREDICTED = np.array([[8, 2, 0], [2, 8, 0]])
LABELLED = np.array([[7, 3, 0], [5, 5, 0]])


def units():
    return SegmentationUnits(['a', 'b'], INTERSECT, PREDICTED, LABELLED)


def test_hand_worked_scores():
    # I = 6, 5; P = 10, 10; L = 12, 8: IoU 6/16 and 5/13, accuracy 6/12 and 5/8, all 11/20
    assert units().observed() == pytest.approx(
        {'mIoU': 100 * (6 / 16 + 5 / 13) / 2, 'mAcc': 100 * (1 / 2 + 5 / 8) / 2, 'aAcc': 55}
    )


def test_weights_repeat_images():
    scores = units().score(np.array([[2, 1], [0, 1], [0, 0]]))
    # image a twice: I = 12, 6; P = 18, 12; L = 19, 11. Image b alone: I = 0, 4; P = 2, 8; L = 5, 5
    assert scores['mIoU'][:2] == pytest.approx(
        [100 * (12 / 25 + 6 / 17) / 2, 100 * (0 / 7 + 4 / 9) / 2]
    )
    assert scores['aAcc'][:2] == pytest.approx([100 * 18 / 30, 40])
    assert all(np.isnan(values[2]) for values in scores.values())


def test_a_class_only_predicted_counts_for_iou_and_not_for_accuracy():
    only = SegmentationUnits(['a'], [[4, 0]], [[4, 2]], [[6, 0]])
    assert only.observed() == pytest.approx(
        {'mIoU': 100 * (4 / 6 + 0) / 2, 'mAcc': 400 / 6, 'aAcc': 400 / 6}
    )


def test_counts_must_fit_the_images():
    with pytest.raises(ValueError, match='2 images but counts are'):
        SegmentationUnits(['a', 'b'], INTERSECT[:1], PREDICTED, LABELLED)
    with pytest.raises(ValueError, match='repeat'):
        SegmentationUnits(['a', 'a'], INTERSECT, PREDICTED, LABELLED)
    with pytest.raises(ValueError, match='no units'):
        SegmentationUnits([], INTERSECT[:0], PREDICTED[:0], LABELLED[:0])


def test_comes_back_from_its_file(tmp_path):
    again = load_units(units().save(tmp_path / 'x.units.npz'))
    assert again.names == ('a', 'b')
    assert again.observed() == units().observed()
