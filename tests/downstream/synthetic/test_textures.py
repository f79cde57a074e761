import numpy as np
import pytest

from downstream.synthetic.bank import TILE, VARIANTS, texture_bank
from downstream.synthetic.classes import OBJECT_TEXTURES, STUFF_CLASSES
from downstream.synthetic.textures import TEXTURES, cell_distances, equalise


def test_equalise_replaces_values_by_rank():
    field = np.array([[3.0, -1.0], [10.0, 2.0]])
    # by hand: ranks 2, 0, 3, 1 of 4, times 256 / 4
    assert equalise(field).tolist() == [[128, 0], [192, 64]]


@pytest.mark.parametrize('family', TEXTURES)
def test_every_texture_has_the_same_histogram(family):
    tile = equalise(TEXTURES[family](np.random.default_rng(0), 64))
    assert np.bincount(tile.ravel(), minlength=256).tolist() == [64 * 64 // 256] * 256


@pytest.mark.parametrize('family', TEXTURES)
def test_every_texture_closes_round_the_tile(family):
    field = TEXTURES[family](np.random.default_rng(1), 128)
    for axis in (0, 1):
        steps = np.abs(np.diff(field, axis=axis)).mean(axis=1 - axis)
        seam = np.abs(np.take(field, 0, axis) - np.take(field, -1, axis)).mean()
        assert seam < 1.5 * steps.max()


def test_every_class_has_a_texture():
    assert set(TEXTURES) == {*OBJECT_TEXTURES, *STUFF_CLASSES}


def test_cell_distances_without_jitter_are_those_of_a_grid():
    first, second = cell_distances(np.random.default_rng(0), 8, 2, jitter=0)
    # by hand: cells of 4 pixels, points in their middles, distances in cells
    assert first[2, 2] == 0
    assert second[2, 2] == 1
    assert first[0, 0] == pytest.approx(np.sqrt(0.5))


def test_bank_takes_a_smaller_tile_for_a_smaller_picture():
    bank = texture_bank(0)
    assert bank.tile('brick', 0, 1.0).shape == (2 * TILE, 2 * TILE)
    assert bank.tile('brick', 0, 4.0).shape == (TILE // 2, TILE // 2)
    assert bank.tile('brick', VARIANTS - 1, 1e9).shape == (16, 16)


def test_bank_noise_wraps_round():
    noise = texture_bank(0).noise((510, 0), 4, 3)
    assert np.array_equal(noise[2:], texture_bank(0).noise((0, 0), 2, 3))
