from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from downstream.tracking import pair_order
from downstream.tracking.pairs import Augment, BoxJitter, TrackingPairs, sample_frames
from downstream.tracking.sequences import FrameCache
from mim_backbones.errors import UserError
from tests.downstream.tracking.conftest import lasot

SMALL = {'template_size': 32, 'search_size': 64, 'min_frames': 5, 'length': 64}


def test_frames_are_visible_in_order_and_near():
    usable = np.array([0, 3, 4, 30, 31])
    rng = np.random.default_rng(0)
    drawn = {sample_frames(usable, 5, rng) for _ in range(300)}
    # after 4 nothing is near: the limit grows from 5 to 30, which both 30 and 31 keep to
    assert drawn == {(0, 3), (0, 4), (3, 4), (4, 30), (4, 31), (30, 31)}
    assert sample_frames(np.array([0, 26]), 5, rng) == (0, 26)


def test_jitter_keeps_to_its_range():
    box, rng = np.array([10.0, 20, 16, 4]), np.random.default_rng(0)
    assert BoxJitter(0, 0)(box, rng) == pytest.approx(box)
    moved = np.stack([BoxJitter(0, 3.0)(box, rng) for _ in range(500)])
    assert np.abs(moved[:, :2] - box[:2]).max() <= 1.5 * 8  # 1.5 times the mean side, sqrt(16 * 4)
    assert np.abs(moved[:, :2] - box[:2]).max() > 1.4 * 8
    sizes = np.stack([BoxJitter(0.25, 0)(box, rng)[2:] for _ in range(2000)])
    assert np.log(sizes / box[2:]).std(axis=0) == pytest.approx([0.25, 0.25], rel=0.1)


def test_flip_moves_the_box_with_the_pixels():
    crop = np.zeros((8, 8, 3), np.uint8)
    crop[2:4, 1:4] = 200
    augment = Augment(gray=0, flip=1, branch_flip=0, brightness=0)
    rng = np.random.default_rng(0)
    flipped, box = augment.apply(crop, np.array([1, 2, 3, 2]) / 8, augment.draw_both(rng), rng)
    assert (flipped[2:4, 4:7] == 200).all()
    assert box * 8 == pytest.approx([4, 2, 3, 2])


def test_a_varied_pair_is_varied_alike():
    """The box stays on the one block of its colour, whatever is done, in both crops."""
    crop = np.full((8, 8, 3), 40, np.uint8)
    crop[2:4, 1:6] = (200, 120, 90)
    augment = Augment(gray=0, flip=0.5, branch_flip=0, brightness=0, vary=0.5)
    looks = set()
    for seed in range(600):
        rng = np.random.default_rng(seed)
        both = augment.draw_both(rng)
        shown = [augment.apply(crop, np.array([1, 2, 5, 2]) / 8, both, rng) for _ in range(2)]
        assert np.array_equal(shown[0][0], shown[1][0])
        changed, box = shown[0]
        x, y, w, h = (8 * box).astype(int)
        block = changed[y : y + h, x : x + w].reshape(-1, 3)
        assert (block == block[0]).all()
        assert (changed == block[0]).all(-1).sum() == 10
        looks.add((w, h, x, *block[0].tolist()))
    assert len(looks) == 4 * 6 * 2  # flips and transposes, orders of three channels, negatives


def test_a_pair_depends_on_seed_and_index_alone(lasot_root):
    pairs, again = (
        TrackingPairs(lasot(lasot_root), **SMALL),
        TrackingPairs(lasot(lasot_root), cache_mib=0, **SMALL),
    )
    third = pairs[3]
    again[9]
    for ours, theirs in zip(flatten(third), flatten(again[3])):
        assert torch.equal(ours, theirs)
    assert not torch.equal(third['boxes'], pairs[4]['boxes'])
    assert not torch.equal(
        third['boxes'], TrackingPairs(lasot(lasot_root), seed=1, **SMALL)[3]['boxes']
    )


def flatten(pair):
    return [pair['inputs']['template'], pair['inputs']['search'], pair['boxes']]


def test_boxes_lie_on_the_target(lasot_root):
    # the squares are brighter than anything else
    pairs = TrackingPairs(lasot(lasot_root), augment={'brightness': 0, 'gray': 0}, **SMALL)
    batch = next(iter(DataLoader(pairs, batch_size=16)))
    assert batch['inputs']['template'].shape == (16, 3, 32, 32)
    assert batch['inputs']['search'].dtype == torch.uint8
    assert batch['boxes'].dtype == torch.float32
    for crop, box in zip(batch['inputs']['search'], batch['boxes']):
        lit = crop[0] > 150
        x, y, w, _ = (64 * box).tolist()
        rows, columns = torch.where(lit)
        assert columns.min() == pytest.approx(max(x, 0), abs=1.5)
        assert columns.max() + 1 == pytest.approx(min(x + w, 64), abs=1.5)
        assert rows.min() == pytest.approx(max(y, 0), abs=1.5)


def test_search_boxes_are_where_the_jitter_puts_them(lasot_root):
    pairs = TrackingPairs(lasot(lasot_root), **SMALL)
    boxes = torch.stack([pairs[i]['boxes'] for i in range(64)])
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    # within 1.5 of the 4 mean sides that a crop is wide, from its middle
    assert (centres - 0.5).abs().max() < 1.5 / 4 + 0.05
    assert boxes[:, 2:].mean() == pytest.approx(0.25, abs=0.05)


def test_test_sequences_are_refused(lasot_root):
    with pytest.raises(UserError, match='test sequences are in the training list'):
        TrackingPairs(lasot(lasot_root, test_list='training_set.txt'), **SMALL)


@pytest.mark.parametrize('processes', [1, 3])
def test_processes_share_the_pairs_of_a_step(lasot_root, monkeypatch, processes):
    """Steps of six pairs, the fourth after a resume: the same whatever the processes."""
    pairs, dealt = TrackingPairs(lasot(lasot_root), **SMALL), []
    for rank in range(processes):
        monkeypatch.setattr(pair_order, 'get_dist_info', lambda rank=rank: (rank, processes))
        order = pair_order.EveryPair(pairs)
        order.skip(3 * 6 // processes)
        dealt += islice(order, 6 // processes)
    assert sorted(dealt) == list(range(18, 24))


def test_too_short_sequences(lasot_root):
    with pytest.raises(UserError, match='lower min_frames'):
        TrackingPairs(lasot(lasot_root), min_frames=100)


def test_an_unreadable_frame_is_skipped_and_named(make_lasot):
    root = make_lasot(train=2, test=1, frames=12)
    bad = root / 'cube' / 'cube-1' / 'img' / '00000005.jpg'
    bad.write_bytes(b'no image')
    pairs = TrackingPairs(lasot(root), **SMALL)
    drawn = [pairs[i] for i in range(64)]
    assert len(drawn) == 64
    assert 0 < pairs.reader.bad_reads < 64


def test_many_unreadable_frames_stop_training(make_lasot):
    root = make_lasot(train=2, test=1, frames=12)
    for frame in (root / 'cube' / 'cube-1' / 'img').glob('*.jpg'):
        frame.write_bytes(b'no image')
    pairs = TrackingPairs(lasot(root), **{**SMALL, 'length': 1000})
    with pytest.raises(UserError, match=r'more than 1%.*cube-1'):
        list(map(pairs.__getitem__, range(1000)))


def test_cache_is_bounded_and_drops_the_oldest():
    cache, reads = FrameCache(2 * 100), []

    def read(key):
        return cache.get(key, lambda: reads.append(key) or np.zeros(100, np.uint8))

    for key in ('a', 'b', 'a', 'c', 'a', 'b'):
        read(key)
    assert reads == ['a', 'b', 'c', 'b']
    assert cache.used_bytes == 200
    cache.get('big', lambda: np.zeros(300, np.uint8))
    assert cache.used_bytes == 200


def test_real_pairs(shared):
    pairs = TrackingPairs(lasot(shared / 'data' / 'sot_small'), published=True)
    for index in range(4):
        pair = pairs[index]
        assert pair['inputs']['template'].shape == (3, 128, 128)
        assert pair['inputs']['search'].shape == (3, 256, 256)
        centre = pair['boxes'][:2] + pair['boxes'][2:] / 2
        assert ((centre > 0) & (centre < 1)).all()
