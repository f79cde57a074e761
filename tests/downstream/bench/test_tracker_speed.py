"""`mimbench bench tracker`: the published way is the same network, and turns are fair."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from downstream.bench.published_tracker import PublishedTracker, has_published_form
from downstream.bench.tracker_speed import measure, paired_change, random_tracker
from downstream.bench.turns import TimedTracker, median_ratio, take_turns
from downstream.commands.bench_tracker import tracker as bench_tracker
from downstream.tracking.data import read_sequences
from downstream.tracking.tracker import Tracker
from mim_backbones.errors import UserError
from tests.downstream.tracking.conftest import lasot_root, make_model, write_lasot
from tests.downstream.tracking.released import sequence_tracker

__all__ = ['lasot_root', 'make_model']  # fixtures


@pytest.mark.golden('tracking_ostrack_sequence', needs=['weights_file', 'frames', 'params'])
def test_the_published_way_is_the_released_tracker(golden, same) -> None:
    box, model = golden['init_box'].numpy(), sequence_tracker(golden)
    assert has_published_form(model)
    way, frames = PublishedTracker(model), golden['frames'].numpy()
    way.init(frames[0], box)
    found = np.stack([box, *(way.update(frame)[0] for frame in frames[1:])])
    same('boxes', found, golden['boxes'].double(), atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize('elimination', [None, {'blocks': (0, 1), 'keep': (0.6, 0.5)}])
@torch.no_grad()
def test_features_are_ours(make_model, elimination):
    torch.manual_seed(0)
    model = make_model(elimination=elimination).eval()
    template, search = torch.randn(1, 3, 32, 32), torch.randn(1, 3, 64, 64)
    way = PublishedTracker(model)
    way.template = template
    way.asked = torch.zeros(1, 16, dtype=torch.bool)
    way.asked[:, 5] = True  # (1, 1), the centre of 4 x 4
    expected = model.look(model.embed_template(template, None), search)
    torch.testing.assert_close(way._features(search), expected, atol=1e-5, rtol=1e-4)


def test_additions_of_ours_have_no_published_form(make_model):
    assert has_published_form(make_model())
    assert not has_published_form(make_model(compare=True))
    assert not has_published_form(make_model(size_inertia=0.5))
    assert not has_published_form(make_model(elimination={'blocks': (0,), 'template': 'box'}))


def test_every_turn_begins_at_the_same_box(make_model, lasot_root):
    (sequence, *_) = read_sequences(lasot_root, 'testing_set.txt')
    model = make_model().eval()
    frames = [sequence.read_frame(i) for i in range(5)]
    ways = {'one': TimedTracker(model), 'other': TimedTracker(model)}
    found = take_turns(ways, frames, sequence.boxes[:5])
    np.testing.assert_array_equal(found['one'].boxes, found['other'].boxes)
    alone = Tracker(model)
    alone.init(frames[0], sequence.boxes[0])
    alone.box = sequence.boxes[3]
    np.testing.assert_allclose(found['one'].boxes[2], alone.update(frames[3])[0])
    for turns in found.values():
        assert turns.whole.shape == turns.network.shape == (4,)
        assert (turns.network > 0).all() and (turns.network < turns.whole).all()


def test_median_ratio_by_hand():
    """Of 10, P(at most 1 below the median) = 11/1024 < 0.025 < P(at most 2): 2nd to 9th."""
    slow = np.array([5, 1, 2, 3, 4, 6, 7, 8, 9, 10.0])
    assert median_ratio(slow, np.ones(10)) == (5.5, 2, 9)
    assert median_ratio(2 * np.ones(3), np.array([1, 2, 4.0])) == (1, 0.5, 2)  # too few: all


def test_paired_change_by_hand():
    """Of 1 and 3: mean 2, standard error 1, t(0.975, 1) = 12.706."""
    assert paired_change(np.array([1.0, 3.0])) == pytest.approx((2, -10.706, 14.706), abs=1e-3)


def test_a_trained_tracker_has_an_auc_and_no_published_row(make_model, tmp_path):
    root = write_lasot(tmp_path, train=1, test=1, frames=4)
    torch.manual_seed(0)
    model = make_model(compare=True).eval()
    wanted = ('published', 'eager', 'torchscript')
    eager, scripted = measure(model, wanted, frames=2, threads=1, data=root)
    assert (eager.way, scripted.way) == ('eager', 'torchscript')
    assert eager.ratio == (1, 1, 1) and eager.overlap == pytest.approx(1)
    assert 0 < eager.auc == pytest.approx(scripted.auc, abs=0.1)
    assert eager.auc_change[0] == 0 and scripted.auc_change[0] == pytest.approx(0, abs=0.1)
    assert eager.frames_per_second == pytest.approx(1e3 / eager.whole_ms)


def test_the_layout_of_the_random_tracker_is_mae_lites():
    model = random_tracker('tiny-h12')
    assert sum(each.numel() for each in model.parameters()) / 1e6 == pytest.approx(8.08, abs=0.1)
    assert (model.template_size, model.search_size) == (128, 256)
    assert model.elimination.shares == {3: 0.7, 6: 0.7, 9: 0.7}


def test_the_command(monkeypatch):
    words = ['--runtimes', 'published,eager', '--frames', '2']
    shown = CliRunner().invoke(bench_tracker, [*words, '--json'])
    told = json.loads(shown.stdout)
    assert [row['way'] for row in told['rows']] == ['published', 'eager']
    assert told['threads'] == 1 and told['weights'] == 'random, tiny-h12'
    assert told['rows'][1]['overlap'] == 1
    shown = CliRunner().invoke(bench_tracker, words)
    assert 'random, tiny-h12 weights; crops 128 and 256 px' in shown.stdout
    assert shown.stdout.count('torch 2') == 2


def test_what_it_refuses(tmp_path):
    def call(*words):
        return CliRunner().invoke(bench_tracker, [str(w) for w in words], catch_exceptions=False)

    with pytest.raises(UserError, match='go with a CKPT'):
        call('--data', tmp_path)
    with pytest.raises(UserError, match='--arch goes without a CKPT'):
        call(tmp_path / 'x.pth', '--arch', 'tiny')
    with pytest.raises(UserError, match='--arch tinny: '):
        call('--arch', 'tinny')
    result = call('--runtimes', 'tensorrt')
    assert result.exit_code == 2 and "no way 'tensorrt'" in result.output


def test_a_tracker_that_looks_elsewhere_is_timed_without(make_model) -> None:
    again = {'lost': 0.999, 'found': 0.5, 'every': 1}
    model = make_model(redetection=again).eval()
    (row,) = measure(model, ['eager'], frames=3, threads=1)
    assert row.way == 'eager' and row.overlap == 1
    assert model.redetection is not None
