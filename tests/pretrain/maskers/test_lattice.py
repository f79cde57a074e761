import numpy as np
import pytest

from pretrain.maskers.lattice import GridMasker, lattice_masks


def test_by_hand() -> None:
    (mask,) = lattice_masks((2, 6), (2, 3), np.array([1]), np.array([2]))
    assert (~mask).astype(int).tolist() == [[0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 1]]


def test_one_of_each_group_is_visible() -> None:
    fixed = GridMasker(192, 4, 32).batch(3, np.random.default_rng(0))
    assert fixed.shape == (3, 48, 48)
    assert (fixed.mean((1, 2)) == 0.75).all()
    assert (fixed == fixed[0]).all()
    assert not fixed[0, :8, :8].any()  # the first unit of each group
    shifted = GridMasker(64, 8, every=(1, 4), shift=True).batch(400, np.random.default_rng(0))
    assert (shifted.mean((1, 2)) == 0.75).all()
    assert abs((~shifted).mean((0, 1)) - 0.25).max() < 5 * (0.25 * 0.75 / 400) ** 0.5


@pytest.mark.parametrize(
    ('every', 'message'), [(1, 'hides nothing'), (0, 'hides nothing'), (4, 'do not fill')]
)
def test_bad_options(every, message) -> None:
    with pytest.raises(ValueError, match=message):
        GridMasker(192, 4, 32, every=every)
