"""Every scoring once: what is on disk is taken again only for the same weights and frost."""

import types

import numpy as np
import pytest
import torch

from downstream.results.robustness import CLEAN
from downstream.robustness.conditions import Conditions
from downstream.robustness.pipeline import Switch
from downstream.robustness.scoring import score_corrupted
from downstream.segmentation.task import TASK
from downstream.segmentation.units import SegmentationUnits
from downstream.task import Evaluation


class Rounds:
    progress = None

    def __init__(self):
        self.begun = []

    def begin_round(self, *words):
        self.begun.append(words)


def scored_units(right):
    labelled = np.full((30, 2), 100)
    intersect = np.full((30, 2), right) + np.arange(30)[:, None] % 3
    return SegmentationUnits([str(i) for i in range(30)], intersect, labelled, labelled)


@pytest.fixture
def score(tmp_path):
    """(conditions, weight=0, die_after=None) -> what was scored, by which conditions."""

    def run(conditions, weight=0.0, die_after=None):
        switch, watch, seen = Switch(), Rounds(), []

        def found(runner, progress):
            if die_after is not None and len(seen) == die_after:
                raise KeyboardInterrupt
            seen.append(switch.on)
            units = scored_units(50 - (0 if switch.on is None else 5 * switch.on[1]))
            return Evaluation(units.observed(), units, {'a.png': b''})

        task = types.SimpleNamespace(run=found, headline=TASK.headline, primary=TASK.primary)
        runner = types.SimpleNamespace(model=torch.nn.Linear(1, 1))
        torch.nn.init.constant_(runner.model.weight, weight)
        torch.nn.init.zeros_(runner.model.bias)
        units = scored_units(50)
        clean = Evaluation(units.observed(), units)
        folder = tmp_path / 'corruptions'
        try:
            done = score_corrupted(task, runner, watch, switch, conditions, clean, folder)
        except KeyboardInterrupt:
            done = None
        return done, seen, watch

    return run


def test_a_killed_job_scores_the_rest(score):
    conditions = Conditions(('fog', 'frost'), (1, 3))
    done, seen, _ = score(conditions, die_after=3)
    assert done is None and seen == conditions.pairs()[:3]
    done, seen, watch = score(conditions)
    assert seen == [('frost', 3)] and watch.begun == [('corrupted', 0, 1)]
    whole, again, _ = score(conditions)
    assert not again and whole.robustness == done.robustness
    assert set(done.rows) == {CLEAN, 'fog 1', 'fog 3', 'frost 1', 'frost 3'}
    for name, row in whole.rows.items():
        np.testing.assert_array_equal(row['mIoU'].first, done.rows[name]['mIoU'].first)
    metrics = done.robustness.scores['fog']
    assert metrics['1']['mIoU'] > metrics['3']['mIoU']
    assert done.robustness.relative('mIoU', scored_units(50).observed()['mIoU']) < 100


def test_more_conditions_take_what_is_there(score):
    score(Conditions(('fog',), (1,)))
    done, seen, _ = score(Conditions(('fog', 'snow'), (1,)))
    assert seen == [('snow', 1)] and list(done.robustness.scores) == ['fog', 'snow']


def test_other_weights_or_frost_are_scored_anew(score):
    conditions = Conditions(('fog', 'frost'), (1,))
    score(conditions)
    assert len(score(conditions, weight=1.0)[1]) == 2
    photographed = Conditions(('fog', 'frost'), (1,), 'somewhere', 'f' * 16)
    assert score(photographed, weight=1.0)[1] == [('frost', 1)]
