import numpy as np
import pytest

from downstream.results.result import load_units
from downstream.tracking.units import TrackingUnits


def units():
    success = np.zeros((2, 21))
    success[0, :10] = 1  # overlaps all between 0.45 and 0.50
    precision, norm_precision = np.zeros((2, 51)), np.zeros((2, 51))
    precision[0, 20:] = 0.75  # three of four frames within 20 px
    precision[1, 21:] = 1  # all within 21 px: too late for P
    norm_precision[:, 20] = 0.5, 0.25
    return TrackingUnits(['car-1', 'dog-2'], success, precision, norm_precision)


def test_hand_worked_scores():
    assert units().observed() == pytest.approx({'AUC': 50 * 10 / 21, 'P': 37.5, 'P_norm': 37.5})


def test_each_sequence_counts_by_its_weight():
    scores = units().score(np.array([[3, 1], [0, 2], [0, 0]]))
    assert scores['P'][:2] == pytest.approx([100 * 0.75 * 3 / 4, 0])
    assert scores['P_norm'][:2] == pytest.approx([100 * (3 * 0.5 + 0.25) / 4, 25])
    assert np.isnan(scores['AUC'][2])


def test_curves_must_have_the_protocols_length():
    with pytest.raises(ValueError, match=r'precision is \(1, 50\), expected \(1, 51\)'):
        TrackingUnits(['a'], np.zeros((1, 21)), np.zeros((1, 50)), np.zeros((1, 51)))


def test_comes_back_from_its_file(tmp_path):
    again = load_units(units().save(tmp_path / 'x.units.npz'))
    assert again.names == ('car-1', 'dog-2')
    assert again.observed() == units().observed()
