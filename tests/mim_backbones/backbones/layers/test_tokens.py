"""Places of tokens: which ones a unit holds."""

import torch

from mim_backbones.backbones.layers.hiera_block import to_units
from mim_backbones.backbones.layers.tokens import places_in_units


def test_places_of_a_unit_by_hand() -> None:
    """4 x 6 tokens in units of 2 x 2: unit 4 is in the second row, second of three."""
    places = places_in_units(torch.tensor([[4, 0]]), (4, 6), 2)
    assert places.tolist() == [[14, 15, 20, 21, 0, 1, 6, 7]]


def test_places_are_those_of_the_cut_into_units() -> None:
    grid = (12, 8)
    raster = torch.arange(96.0).view(1, 1, *grid)
    units = torch.randperm(6)[None]
    cut = to_units(raster, 4)[0, units[0], ..., 0].flatten()
    assert places_in_units(units, grid, 4)[0].tolist() == cut.tolist()


def test_units_of_one_token_are_tokens() -> None:
    units = torch.randperm(15)[None]
    assert torch.equal(places_in_units(units, (3, 5), 1), units)
