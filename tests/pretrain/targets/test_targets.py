"""Targets and their way back to colours, by hand and by property."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mim_backbones.errors import UserError
from pretrain.images.preprocessor import to_unit
from pretrain.targets.base import Student, Target
from pretrain.targets.colours import ColourBins, ColourClusters
from pretrain.targets.patches import PatchTarget, patchify
from pretrain.targets.pixels import NormalisedTarget, PixelTarget, box_sum

PLAIN = {'mean': (0.0,), 'std': (1.0,)}  # as it comes


def test_reduced_pixels_are_means_of_areas() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert PixelTarget(reduce=2, **PLAIN, channels=1)(image).values.flatten().tolist() == [
        2.5,
        4.5,
        10.5,
        12.5,
    ]
    assert torch.equal(PixelTarget(**PLAIN)(image).values, image)
    red = PixelTarget()(torch.rand(1, 3, 4, 4).fill_(0.5)).values[0, 0, 0, 0]
    assert float(red) == pytest.approx((0.5 - 0.485) / 0.229)


@given(st.sampled_from([1, 2, 4, 8, 16, 32]), st.integers(0, 9))
@settings(max_examples=15, deadline=None)
def test_reducing_keeps_the_mean_and_the_declared_grid(reduce: int, seed: int) -> None:
    image = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(seed))
    target = PixelTarget(reduce, **PLAIN)
    target.bind(Student('ViT', (64, 96), 32))
    found = target(image).values
    assert found.shape == (2, target.width, *target.grid)
    torch.testing.assert_close(found.mean((2, 3)), image.mean((2, 3)))


def test_a_window_of_three_by_hand() -> None:
    image = torch.tensor([[0.0, 3.0, 0.0], [0.0, 0.0, 0.0]]).view(1, 1, 2, 3)
    found = NormalisedTarget(window=3, **PLAIN)(image).values
    # Corner: 0, 3, 0, 0 has mean 0.75, unbiased variance (9 - 4 * 0.75^2) / 3 = 2.25.
    assert float(found[0, 0, 0, 0]) == pytest.approx(-0.75 / 1.5, abs=1e-6)
    # Middle: 3 and five zeros: mean 0.5, variance (9 - 6 * 0.25) / 5 = 1.5.
    assert float(found[0, 0, 0, 1]) == pytest.approx(2.5 / 1.5**0.5, abs=1e-6)


@given(st.sampled_from([3, 7, 47]), st.integers(1, 20), st.integers(1, 20))
@settings(max_examples=20, deadline=None)
def test_running_sums_are_the_sums_of_windows(window: int, height: int, width: int) -> None:
    x = torch.randn(1, 2, height, width, dtype=torch.float64)
    padded = F.pad(x, [window // 2] * 4)
    expected = padded.unfold(2, window, 1).unfold(3, window, 1).sum((-1, -2))
    torch.testing.assert_close(box_sum(x, window), expected, atol=1e-11, rtol=0)


def test_normalising_forgets_scale_and_shift_and_flat_regions_are_zero() -> None:
    image = torch.randn(1, 3, 24, 24)
    target = NormalisedTarget(window=7)
    found = target(5 * image - 2).values
    torch.testing.assert_close(found, target(image).values, atol=1e-4, rtol=0)
    flat = target(torch.full((1, 3, 24, 24), 1.2345678)).values
    assert flat.abs().max() < 1e-6


def test_released_precision_loses_flat_regions_and_nothing_else() -> None:
    image = torch.rand(1, 3, 40, 40)
    exact, released = (NormalisedTarget(7, precision=p) for p in ('float64', 'float32'))
    torch.testing.assert_close(released(image).values, exact(image).values, atol=1e-4, rtol=0)
    pale = 0.95 + 1e-5 * torch.rand(1, 3, 40, 40)
    assert (released(pale).values - exact(pale).values).abs().max() > 1e-3
    back = released.pixels(released(pale).values, pale)
    torch.testing.assert_close(back, pale, atol=1e-6, rtol=0)


def test_eight_bins_by_hand() -> None:
    levels = torch.tensor([0, 31, 32, 128, 255]) / 255
    ids = ColourBins(bins=8)(levels.view(1, 1, 1, 5).expand(1, 3, 1, 5)).values
    assert ids[0, 0, 0].tolist() == [0, 0, 1, 4, 7]


@pytest.mark.parametrize('bins', [8, 256])
def test_each_grey_level_is_in_its_own_bin(bins: int) -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    ids = ColourBins(bins)(to_unit(levels)).values
    assert torch.equal(ids, levels.long() * bins // 256)


def test_a_bin_is_drawn_at_its_centre() -> None:
    target, image = ColourBins(bins=8, reduce=2), torch.rand(2, 3, 8, 8)
    ids = target(image).values
    pred = F.one_hot(ids, 8).movedim(-1, 2).flatten(1, 2).float()
    assert pred.shape[1] == target.width
    drawn = target.pixels(pred, image)
    assert (drawn - F.avg_pool2d(image, 2)).abs().max() <= 0.5 / 8 + 1e-6


@pytest.fixture
def palette(tmp_path):
    colours = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 1]], dtype=np.float32)
    np.save(tmp_path / 'p.npy', colours * 2 - 1)  # as image-gpt's
    return str(tmp_path / 'p.npy')


def test_the_nearest_colour_by_hand(palette) -> None:
    image = torch.tensor([[0.1, 0.2, 0.0], [0.9, 0.3, 0.2], [0.8, 0.7, 0.9], [0.5, 0.0, 0.0]])
    target = ColourClusters(palette)
    ids = target(image.T.reshape(1, 3, 2, 2)).values
    assert ids.tolist() == [[[0, 1], [2, 0]]]  # the last is as near to both: the first counts
    drawn = target.pixels(F.one_hot(ids, 3).movedim(-1, 1).float(), image)
    assert drawn[0, :, 0, 1].tolist() == [1, 0, 0]


def test_clusters_split_into_parts_are_the_same(palette, monkeypatch) -> None:
    image = torch.rand(3, 3, 8, 8)
    target = ColourClusters(palette, reduce=2)
    whole = target(image).values
    monkeypatch.setattr('pretrain.targets.colours.PIXELS_AT_ONCE', 5)
    assert torch.equal(target(image).values, whole)
    assert whole.shape == (3, 4, 4)


def test_a_palette_travels_with_the_weights(palette) -> None:
    target, empty = ColourClusters(palette), ColourClusters(3)
    empty.load_state_dict(target.state_dict())
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(target(image).values, empty(image).values)


def test_a_number_of_colours_is_no_target_before_the_weights_come(palette) -> None:
    empty, image = ColourClusters(3), torch.rand(1, 3, 8, 8)
    for use in (lambda: empty(image), lambda: empty.pixels(torch.rand(1, 3, 8, 8), image)):
        with pytest.raises(UserError, match=r'palette=3 .* give a palette file'):
            use()
    empty.load_state_dict(ColourClusters(palette).state_dict())
    empty(image)


@pytest.mark.parametrize('loaded', [True, False])
def test_a_palette_that_is_there_is_looked_at_once_at_most(palette, monkeypatch, loaded) -> None:
    target, image = ColourClusters(3 if loaded else palette), torch.rand(1, 3, 8, 8)
    looks, look = [], torch.Tensor.any
    monkeypatch.setattr(torch.Tensor, 'any', lambda self: looks.append(1) or look(self))
    if loaded:
        target.load_state_dict(ColourClusters(palette).state_dict())
    for _ in range(3):
        target(image)
    assert len(looks) == int(loaded)


@pytest.mark.parametrize(('channels', 'expected'), [
    ('last', [0, 16, 1, 17, 4, 20, 5, 21]), ('first', [0, 1, 4, 5, 16, 17, 20, 21]),
])  # fmt: skip
def test_the_order_of_a_patch_by_hand(channels: str, expected: list[int]) -> None:
    """Two colours of 4 x 4 pixels, numbered row by row, in patches of 2 x 2: the first one."""
    image = torch.arange(32.0).view(1, 2, 4, 4)
    patches = patchify(image, 2, channels)
    assert patches[0, :, 0, 0].tolist() == expected
    assert patches[0, 0].tolist() == [[0, 2], [8, 10]]


@pytest.mark.parametrize('channels', ['last', 'first'])
@pytest.mark.parametrize('norm_pix', [True, False])
def test_patches_of_the_true_target_are_the_image(channels: str, norm_pix: bool) -> None:
    target = PatchTarget(norm_pix, channels)
    target.bind(Student('a backbone', (32, 64), 16))
    image = torch.rand(2, 3, 32, 64)
    drawn = target.pixels(target(image).values, image)
    torch.testing.assert_close(drawn, image, atol=1e-5, rtol=0)


def test_pixels_of_the_true_target_are_the_image() -> None:
    image = torch.randn(2, 3, 32, 32)
    for target in (PixelTarget(), NormalisedTarget(window=7)):
        drawn = target.pixels(target(image).values, image)
        torch.testing.assert_close(drawn, image, atol=1e-5, rtol=0)


@pytest.mark.parametrize(('make', 'message'), [
    (lambda: NormalisedTarget(window=46), 'odd'),
    (lambda: NormalisedTarget(precision='half'), 'known: float64, float32'),
    (lambda: ColourBins(bins=1), 'at least 2'),
    (lambda: ColourClusters(0), 'palette=0; give a file'),
    (lambda: ColourClusters(-1), 'palette=-1; give a file'),
    (lambda: PixelTarget(reduce=0), 'whole number'),
    (lambda: PixelTarget(reduce=1.5), 'whole number'),
    (lambda: PatchTarget(channels='second'), "channels='second'; known: last, first"),
])  # fmt: skip
def test_mistakes(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_targets_without_colours_say_so() -> None:
    with pytest.raises(UserError, match='no colours'):
        Target().pixels(torch.zeros(1), torch.zeros(1))
