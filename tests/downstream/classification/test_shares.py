"""Lists of labelled and of held-out pictures."""

import numpy as np
import pytest

from downstream.classification.shares import choose
from mim_backbones.errors import UserError

LABELS = np.repeat(np.arange(5), [100, 40, 7, 0, 1])


def test_shares_are_of_every_class_and_nested() -> None:
    tenth, _ = choose(LABELS, seed=3, share=0.1)
    assert np.bincount(LABELS[tenth]).tolist() == [10, 4, 1, 0, 1]
    hundredth, _ = choose(LABELS, seed=3, share=0.01)
    assert np.bincount(LABELS[hundredth]).tolist() == [1, 1, 1, 0, 1]
    assert set(hundredth) < set(tenth)
    assert np.array_equal(choose(LABELS, seed=3, share=0.1)[0], tenth)
    assert not np.array_equal(choose(LABELS, seed=4, share=0.1)[0], tenth)


def test_so_many_of_each_class() -> None:
    chosen, _ = choose(LABELS, per_class=8)
    assert np.bincount(LABELS[chosen]).tolist() == [8, 8, 7, 0, 1]


def test_held_out_pictures_are_never_labelled() -> None:
    labels = LABELS[:-1]
    labelled, held = choose(labels, seed=1, held_out=0.1)
    assert np.bincount(labels[held]).tolist() == [10, 4, 1]
    assert not set(labelled) & set(held)
    assert len(labelled) + len(held) == len(labels)
    few, same = choose(labels, seed=1, held_out=0.1, share=0.01)
    assert np.array_equal(same, held) and set(few) < set(labelled)


def test_a_class_of_one_picture_cannot_be_held_out() -> None:
    with pytest.raises(UserError, match='class 4 has 1 training pictures'):
        choose(LABELS, held_out=0.1)
