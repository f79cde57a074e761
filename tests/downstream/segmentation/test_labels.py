"""Label maps made plane by plane are those of all logits at once."""

import random

import pytest
import torch
import torch.nn.functional as F

from downstream.segmentation import labels
from downstream.segmentation.labels import Planes, largest, mean_probability, resized
from downstream.segmentation.labels import resized_argmax as tiled

DEVICES = ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]


def at_once(logits, size, align_corners):
    return F.interpolate(logits, size, mode='bilinear', align_corners=align_corners).argmax(1)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('ties', [False, True])
@pytest.mark.parametrize('seed', range(12))
def test_equal_to_the_argmax_of_all_logits(seed, ties, align_corners, device) -> None:
    rng = random.Random(seed)
    count, channels = rng.choice([1, 3]), rng.choice([1, 2, 7, 150, 300])
    longest = rng.choice([70, 300])
    small = (rng.randint(1, 40), rng.randint(1, 40))
    size = (rng.randint(1, longest), rng.randint(1, longest))
    torch.manual_seed(seed)
    logits = torch.randn(count, channels, *small, device=device)
    if ties:  # few values, many of them equal
        logits = logits.round()
    found = tiled(logits, size, align_corners)
    assert found.dtype == torch.int64
    assert torch.equal(found, at_once(logits, size, align_corners))


@pytest.mark.parametrize('kind', [torch.bfloat16, torch.float64])
def test_other_precisions(kind) -> None:
    logits = torch.randn(2, 9, 13, 17).to(kind)
    assert torch.equal(tiled(logits, (40, 61)), at_once(logits, (40, 61), False))


def test_no_more_planes_at_once_than_the_tile_holds() -> None:
    asked = []

    def make(first, behind):
        asked.append(behind - first)
        return torch.zeros(1, behind - first, 512, 512)

    largest(Planes(make, 150, (1, 512, 512)))
    assert sum(asked) == 150
    assert max(asked) * 512 * 512 * 4 <= labels.TILE


def test_mean_of_softmax_over_views() -> None:
    torch.manual_seed(0)
    views = [torch.randn(1, 11, 9, 7).double() * 30, torch.randn(1, 11, 20, 14).double() * 30]
    size = (33, 45)
    wide = [F.interpolate(view, size, mode='bilinear').softmax(1) for view in views]
    mean = mean_probability([resized(view, size) for view in views])
    torch.testing.assert_close(mean.make(0, 11), sum(wide) / 2)
    assert torch.equal(largest(mean), (sum(wide) / 2).argmax(1))
