"""MaskFeat's histograms of oriented gradients, with and without the Gaussian window."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pretrain.images.preprocessor import to_unit
from pretrain.targets.base import Student
from pretrain.targets.hog import HOGTarget, gaussian, whole_gradients

FAMILY = 'maskfeat_hog'
NEEDS = ['img_uint8', 'hog_unshaped', 'mean', 'std']
ATOL = 1e-5
NOISE = 1e-3  # of what rounding leaves of flat pixels, in a cell that has little beside


@pytest.fixture
def target(golden) -> Callable[..., HOGTarget]:
    """target(field, exact): with the sizes that the shapes of a file's field tell."""

    def build(field: str, exact: bool) -> HOGTarget:
        size, cells = (tuple(golden[name].shape[-2:]) for name in ('img_uint8', 'hog_unshaped'))
        bins, cell = golden['hog_unshaped'].shape[2], size[0] // cells[0]
        side = math.isqrt(golden[field].shape[2] // (3 * bins)) if golden[field].dim() == 3 else 1
        window = None if field == 'hog_no_gaussian' else len(golden['gaussian_kernel'])
        statistics = {name: golden[name].tolist() for name in ('mean', 'std')}
        made = HOGTarget(cell, bins, window, exact, **statistics)
        made.bind(Student('the file', size, side * cell))
        return made

    return build


def as_stored(values: Tensor, like: Tensor) -> Tensor:
    """(B, F, h, w) -> (B, N, F), or by colour and bin (B, 3, bins, h, w)."""
    if like.dim() == 5:
        return values.unflatten(1, (3, -1))
    return values.flatten(2).transpose(1, 2)


@pytest.mark.golden(FAMILY, needs=NEEDS, each=['hog', 'hog_unshaped', 'hog_no_gaussian'])
def test_as_released(golden, field, same, target) -> None:
    values = target(field, exact=False)(to_unit(golden['img_uint8'])).values
    same(field, as_stored(values, golden[field]), golden[field], atol=ATOL)


@pytest.mark.golden(FAMILY, needs=NEEDS, each=['hog', 'hog_unshaped', 'hog_no_gaussian'])
def test_in_whole_numbers_where_no_pixel_lies_on_an_edge(golden, field, same, target) -> None:
    """Between two bins, as without a horizontal gradient, rounding decides in the release."""
    own, image = target(field, exact=True), golden['img_uint8']
    gx, gy = whole_gradients(image)
    strength, direction = torch.hypot(gx, gy), torch.atan2(gx, gy) / math.pi * own.bins
    edge = (strength > 0) & ((direction - direction.round()).abs() < 1e-4)
    clear = F.max_pool2d(edge.float(), own.cell) == 0
    some = F.max_pool2d(strength, own.cell) > 0
    cells = (clear & some).repeat_interleave(own.bins, 1)
    sure = F.pixel_unshuffle(cells.float(), own.stride // own.cell) == 1
    if not sure.any():
        pytest.skip(f'{field}: every cell has a pixel on an edge')
    values = as_stored(own(to_unit(image)).values, golden[field])
    at = as_stored(sure, golden[field])
    same(field, values[at], golden[field][at], atol=NOISE)


@pytest.mark.golden(FAMILY, each=['gaussian_kernel'])
def test_window(golden, field, same) -> None:
    kernel = golden[field]
    same(field, gaussian(len(kernel), torch.device('cpu')), kernel, atol=1e-8)
