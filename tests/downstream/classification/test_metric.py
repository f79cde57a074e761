"""Ranks, top-1 and top-5 by hand, and which of several classifiers counts."""

import numpy as np
import pytest
import torch

from downstream.classification.metric import TopK
from downstream.classification.ranks import Ranks, label_ranks, ranks_of
from downstream.classification.units import ClassificationUnits
from downstream.results.units import UnitScores


def test_a_tie_counts_against_the_label() -> None:
    scores = torch.tensor([[[0.1, 0.7, 0.2]], [[0.5, 0.5, 0.0]], [[1.0, 1.0, 1.0]]])
    assert label_ranks(scores, torch.tensor([2, 0, 1])).tolist() == [[1], [1], [2]]


def test_units_by_hand_and_from_their_file(tmp_path) -> None:
    units = ClassificationUnits('abcd', np.array([0, 4, 5, 0]))
    assert units.observed() == {'top1': 50.0, 'top5': 75.0}
    weights = np.array([[0, 2, 1, 1], [0, 0, 0, 0]])
    found = units.score(weights)
    assert found['top1'][0] == 25.0 and found['top5'][0] == 75.0
    assert np.isnan(found['top1'][1])
    assert ClassificationUnits.load(units.save(tmp_path / 'u.npz')).observed() == units.observed()
    assert issubclass(ClassificationUnits, UnitScores)


def test_units_refuse_other_numbers_of_ranks() -> None:
    with pytest.raises(ValueError, match='2 pictures'):
        ClassificationUnits('ab', np.zeros(3))


def test_the_mean_of_classes_counts_each_class_once() -> None:
    # class 0: 1 of 3, class 2: 1 of 1; class 1 has no picture
    units = ClassificationUnits('abcd', np.array([0, 1, 7, 0]), np.array([0, 0, 0, 2]))
    found = units.observed()
    assert found['top1'] == 50.0 and found['class_mean'] == pytest.approx(100 * (1 / 3 + 1) / 2)
    some = units.score(np.array([[1, 0, 1, 0], [0, 0, 0, 0]]))['class_mean']
    assert some[0] == 50.0 and np.isnan(some[1])
    even = ClassificationUnits('ab', np.array([0, 1]), np.array([4, 2]))
    assert set(even.observed()) == set(even.metrics) == {'top1', 'top5'}  # it would say the same


def test_calibration_error_by_hand() -> None:
    # bins of 1/15: 0.61 and 0.65 share (0.600, 0.667], 1.0 is in the last, 0.2 ends the third
    units = ClassificationUnits(
        'abcd', np.array([0, 1, 0, 2]), None, np.array([0.61, 0.65, 1.0, 0.2])
    )
    gaps = abs(1 - 0.61 - 0.65), 0.0, 0.2
    assert units.observed()['ece'] == pytest.approx(100 * sum(gaps) / 4, abs=1e-5)
    weights = np.array([[0, 3, 0, 1], [0, 0, 0, 0]])
    found = units.score(weights)['ece']
    assert found[0] == pytest.approx(100 * (3 * 0.65 + 0.2) / 4, abs=1e-5) and np.isnan(found[1])
    assert units.reliability() == {
        '0.133-0.200': {'pictures': 1, 'confidence': 20.0, 'top-1': 0.0},
        '0.600-0.667': {'pictures': 2, 'confidence': 63.0, 'top-1': 50.0},
        '0.933-1.000': {'pictures': 1, 'confidence': 100.0, 'top-1': 100.0},
    }


def test_confidence_is_of_the_classes_that_are_allowed() -> None:
    scores = torch.tensor([[[2.0, 1.0, 0.0]]])
    held = torch.tensor([False])
    (plain,) = ranks_of(scores, torch.tensor([1]), ['a'], held, logits=True)
    assert plain.ranks.tolist() == [1]
    assert plain.confidence[0] == pytest.approx(float(scores.softmax(2).max()))
    allowed = torch.tensor([[False, True, True]])
    (some,) = ranks_of(scores, torch.tensor([1]), ['a'], held, True, allowed)
    assert some.ranks.tolist() == [0]
    assert some.confidence[0] == pytest.approx(1 / (1 + np.exp(-1)))
    assert ranks_of(scores, torch.tensor([1]), ['a'], held)[0].confidence is None


def test_all_arrays_come_back_from_the_file(tmp_path) -> None:
    units = ClassificationUnits('abc', [0, 1, 7], [0, 0, 2], [0.5, 0.25, 1.0])
    found = ClassificationUnits.load(units.save(tmp_path / 'u.npz'))
    assert found.observed() == units.observed() and found.metrics == units.metrics


def metric(rows: list[tuple[bool, list[int]]]) -> TopK:
    found = TopK()
    found.process(None, [Ranks(str(i), 0, held, np.array(r)) for i, (held, r) in enumerate(rows)])
    return found


def test_the_best_is_chosen_by_what_is_held_out() -> None:
    held = [(True, [1, 0, 0]), (True, [0, 0, 0])]
    test = [(False, [0, 9, 0]), (False, [0, 1, 0])]
    found = metric(held + test)
    assert found.evaluate(4) == {'top1': 0.0, 'top5': 50.0}  # the second: first of the best two
    assert found.best == 1
    np.testing.assert_array_equal(found.grid, [[50, 100], [100, 0], [100, 100]])
    assert len(found.units) == 2


def test_one_classifier_needs_nothing_held_out() -> None:
    assert metric([(False, [0]), (False, [3])]).evaluate(2) == {'top1': 50.0, 'top5': 100.0}
