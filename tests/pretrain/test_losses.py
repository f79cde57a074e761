from functools import partial
from math import log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pretrain.losses import (
    SELECTORS,
    beside,
    cell_means,
    cosine,
    criterion,
    cross_entropy,
    hidden_positions,
    l1,
    l2,
    masked_mean,
    smooth_l1,
)


def test_masked_l1_by_hand() -> None:
    pred = torch.tensor([[[[1.0, 5.0]], [[3.0, 5.0]]]])  # two channels, one row, two pixels
    hidden = torch.tensor([[[[True, False]]]])
    loss = masked_mean(l1(pred, torch.zeros_like(pred)), hidden)
    torch.testing.assert_close(loss, torch.tensor(2.0), atol=1e-4, rtol=0)  # (1 + 3) / 1 / 2


def test_empty_mask_is_zero() -> None:
    pred = torch.ones(1, 3, 2, 2)
    assert masked_mean(l1(pred, -pred), torch.zeros(1, 1, 2, 2, dtype=torch.bool)) == 0


def test_patch_mask_to_pixels_by_hand() -> None:
    pixels = hidden_positions(torch.tensor([[[True, False]]]), 2, 1)
    assert pixels.tolist() == [[[[True, True, False, False]] * 2]]


def one_pixel_hidden(*values: float) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions of a hidden pixel's channels beside a visible pixel's 9; target 0; the mask."""
    pred = torch.tensor([[[[value, 9.0]] for value in values]])
    return pred, torch.zeros_like(pred), torch.tensor([[[[True, False]]]])


@pytest.mark.parametrize(('error', 'by_hand'), [
    (l1, (0.5 + 3) / 2),
    (l2, (0.25 + 9) / 2),
    (smooth_l1, (0.5 * 0.25 + 2.5) / 2),
    (partial(smooth_l1, beta=2.0), (0.25 / 4 + 2) / 2),
])  # fmt: skip
def test_regression_by_hand(error, by_hand: float) -> None:
    pred, target, hidden = one_pixel_hidden(0.5, -3.0)
    assert float(masked_mean(error(pred, target), hidden)) == pytest.approx(by_hand, rel=1e-4)


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([0.0, log(3.0)]).view(1, 2, 1, 1).expand(1, 2, 1, 2)
    ids = torch.tensor([[[1, 0]]])
    first = torch.tensor([[[[True, False]]]])
    # p = (1/4, 3/4)
    assert float(masked_mean(cross_entropy(logits, ids), first)) == pytest.approx(
        -log(0.75), rel=1e-4
    )
    both = -(log(0.75) + log(0.25)) / 2
    everything = torch.ones_like(first)
    assert float(masked_mean(cross_entropy(logits, ids), everything)) == pytest.approx(
        both, rel=1e-4
    )


def test_groups_of_logits_lie_one_after_the_other() -> None:
    logits = torch.tensor([0.0, log(3.0), log(7.0), 0.0]).view(1, 4, 1, 1)  # two groups of two
    ids = torch.tensor([1, 0]).view(1, 2, 1, 1)
    found = masked_mean(cross_entropy(logits, ids), torch.ones(1, 1, 1, 1))
    assert float(found) == pytest.approx(-(log(3 / 4) + log(7 / 8)) / 2, rel=1e-4)


def test_a_coarse_position_counts_by_its_hidden_share() -> None:
    mask = torch.tensor([[[True, False, True, True]] * 2])
    assert hidden_positions(mask, 4, 8).tolist() == [[[[0.5, 1.0]]]]
    assert torch.equal(hidden_positions(mask, 4, 4), mask[:, None])


@given(st.integers(0, 99), st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2, 4, 8, 16]))
@settings(max_examples=25, deadline=None)
def test_every_resolution_has_the_same_hidden_area(seed: int, mask_size: int, stride: int) -> None:
    torch.manual_seed(seed)
    mask = torch.rand(2, 32 // mask_size, 32 // mask_size) < 0.5
    positions = hidden_positions(mask, mask_size, stride)
    assert positions.shape == (2, 1, 32 // stride, 32 // stride)
    assert float(positions.float().mean()) == pytest.approx(float(mask.float().mean()))


def test_cosine_by_hand() -> None:
    pred = torch.tensor([[[3.0, 1.0], [4.0, 1.0]]])  # two channels, two positions
    found = cosine(pred, torch.tensor([[[4.0, -2.0], [3.0, -2.0]]]))
    torch.testing.assert_close(found, torch.tensor([[[1 - 24 / 25, 2.0]]]))


COS = 24 / 25  # of the angle between (3, 4) and (4, 3)


@pytest.mark.parametrize(('loss', 'options', 'hidden', 'visible'), [
    ('smooth_l1', {'beta': 1.0}, (0.5 + 0.5) / 2, (2.5 + 0.125) / 2),
    ('smooth_l1', {'beta': 2.0}, (0.25 + 0.25) / 2, (2.0 + 0.0625) / 2),
    ('cosine', {'shift': 2.0, 'scale': 2.0}, 2 - 2 * COS, 2.0),
    ('cosine', {'shift': 0.0}, -COS, 0.0),
    ('cosine', {}, 1 - COS, 1.0),
])  # fmt: skip
def test_two_tokens_by_hand(loss: str, options: dict, hidden: float, visible: float) -> None:
    """(3, 4) is said of the hidden one for (4, 3), (3, 0.5) of the visible one for (0, 0)."""
    pred = torch.tensor([[[[3.0, 3.0]], [[4.0, 0.5]]]])
    values = torch.tensor([[[[4.0, 0.0]], [[3.0, 0.0]]]])
    mask = torch.tensor([[[[True, False]]]])
    for selector, expected in (
        ('masked', hidden), ('all', (hidden + visible) / 2), ('visible', visible),
    ):  # fmt: skip
        found = criterion('it', 'features', loss, selector, **options)(pred, values, mask)
        assert float(found) == pytest.approx(expected, rel=2e-5, abs=1e-5)


@pytest.mark.parametrize('loss', ['smooth_l1', 'cosine', 'l1', 'l2'])
def test_nothing_is_lost_where_the_student_is_right(loss: str) -> None:
    values, mask = torch.randn(2, 5, 3, 3), torch.ones(2, 1, 3, 3)
    error = criterion('it', 'features', loss, 'all')
    assert float(error(values, values, mask)) == pytest.approx(0, abs=1e-6)
    scaled = float(error(3 * values, values, mask))
    assert scaled == pytest.approx(0, abs=1e-6) if loss == 'cosine' else scaled > 0.1


def test_the_cls_token_counts_as_one_position() -> None:
    error = criterion('it', 'features', 'l2', 'masked+cls')
    assert error.with_cls and error.selector == 'masked'
    pred = torch.tensor([[[1.0, 2.0, 4.0]]])  # one channel: CLS, a hidden and a visible token
    mask = torch.tensor([[[[True, False]]]])
    found = error(pred, torch.zeros_like(pred), mask)
    assert float(found) == pytest.approx((1 + 4) / 2, rel=1e-4)


def test_unknown_losses_and_selectors_are_named() -> None:
    with pytest.raises(ValueError, match="it: loss='l3'; known: smooth_l1, cosine, l2, l1"):
        criterion('it', 'features', 'l3', 'all')
    with pytest.raises(ValueError, match="it: selector='cls'; known: masked, all, visible"):
        criterion('it', 'features', None, 'cls')


def test_means_of_squares_of_tokens() -> None:
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    assert cell_means(maps, 2).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    assert cell_means(maps, 1) is maps


def test_selectors_say_where_it_counts() -> None:
    hidden = torch.tensor([[[[True, False]]]])
    found = {name: select(hidden).float().flatten().tolist() for name, select in SELECTORS.items()}
    assert found == {'masked': [1, 0], 'all': [1, 1], 'visible': [0, 1]}
    assert SELECTORS['visible'](torch.tensor([0.25])).tolist() == [0.75]


def test_the_whole_image_comes_first() -> None:
    maps = torch.arange(8.0).view(1, 2, 2, 2)
    assert beside(maps, torch.tensor([[8.0, 9.0]])).tolist() == [[[8, 0, 1, 2, 3], [9, 4, 5, 6, 7]]]
