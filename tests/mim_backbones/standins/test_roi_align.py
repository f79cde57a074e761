import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mim_backbones.standins import roi_align as module
from mim_backbones.standins.roi_align import roi_align, roi_align_backward
from mim_backbones.standins.roi_grid import RoIGrid

torch.set_num_threads(1)


def reference(feature: np.ndarray, rois: np.ndarray, grid: RoIGrid) -> np.ndarray:
    """RoIAlign sample by sample; a bilinear sample is a product of two hat functions."""
    bins_y, bins_x = grid.output_size
    height, width = feature.shape[2:]
    output = np.zeros((len(rois), feature.shape[1], bins_y, bins_x))
    for k, (image, *box) in enumerate(rois):
        x1, y1, x2, y2 = np.array(box) * grid.spatial_scale - 0.5 * grid.aligned
        tall, wide = y2 - y1, x2 - x1
        if not grid.aligned:
            tall, wide = max(tall, 1), max(wide, 1)
        ratio = grid.sampling_ratio
        n_y = ratio if ratio > 0 else max(int(np.ceil(tall / bins_y)), 0)
        n_x = ratio if ratio > 0 else max(int(np.ceil(wide / bins_x)), 0)
        for i, j, s, t in np.ndindex(bins_y, bins_x, n_y, n_x):
            y = y1 + (i + (s + 0.5) / n_y) * tall / bins_y
            x = x1 + (j + (t + 0.5) / n_x) * wide / bins_x
            if -1 <= y <= height and -1 <= x <= width:
                hat_y = np.maximum(0, 1 - abs(np.arange(height) - np.clip(y, 0, height - 1)))
                hat_x = np.maximum(0, 1 - abs(np.arange(width) - np.clip(x, 0, width - 1)))
                output[k, :, i, j] += hat_y @ feature[int(image)] @ hat_x / (n_y * n_x)
    return output


def some_boxes(rng: np.random.Generator, count: int, images: int, extent: float) -> Tensor:
    """Boxes of all sizes, some reaching out of the image, some empty."""
    corner = rng.uniform(-0.4, 1.1, (count, 2)) * extent
    size = rng.uniform(0, 1, (count, 2)) ** 2 * extent * (rng.random((count, 1)) > 0.1)
    image = rng.integers(0, images, (count, 1))
    return torch.from_numpy(np.concatenate((image, corner, corner + size), 1))


def test_a_ramp_is_pooled_to_its_value_at_bin_centres():
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing='ij')
    ramp = (10 * y + x)[None, None]
    box = torch.tensor([[0, 2.0, 1, 6, 5]])  # x 2..6, y 1..5: two bins of 2 pixels on each axis
    # By hand: bin centres x 3, 5 and y 2, 4 lie at pixel indices 2.5, 4.5 and 1.5, 3.5.
    expected = torch.tensor([[17.5, 19.5], [37.5, 39.5]])
    for ratio in (0, 1, 2, 5):
        torch.testing.assert_close(roi_align(ramp, box, RoIGrid((2, 2), 1, ratio))[0, 0], expected)
    legacy = roi_align(ramp, box, RoIGrid((2, 2), 1, 2, aligned=False))
    torch.testing.assert_close(legacy[0, 0], expected + 5.5)  # half a pixel further on both axes


def test_samples_off_the_map_count_as_zero():
    ones = torch.ones(1, 1, 4, 4)
    box = torch.tensor([[0, -4.0, 0, 4, 4]])
    # By hand, one sample per bin: x of the bins is -3.5 and 0.5; the first is beyond -1.
    pooled = roi_align(ones, box, RoIGrid((1, 2), 1, 1, aligned=False))
    assert pooled.view(-1).tolist() == [0, 1]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    ratio=st.integers(0, 3),
    aligned=st.booleans(),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_equals_the_loop(seed, ratio, aligned, size):
    rng = np.random.default_rng(seed)
    feature = torch.from_numpy(rng.normal(size=(2, 3, *size)))
    grid = RoIGrid((3, 2), 0.25, ratio, aligned)
    rois = some_boxes(rng, 6, 2, 4 * max(size))
    expected = reference(feature.numpy(), rois.numpy(), grid)
    np.testing.assert_allclose(roi_align(feature, rois, grid), expected, atol=1e-10)


@pytest.mark.parametrize('ratio', [0, 2])
def test_backward_is_the_transpose(ratio):
    rng = np.random.default_rng(0)
    feature, rois = torch.from_numpy(rng.normal(size=(2, 4, 9, 11))), some_boxes(rng, 20, 2, 40)
    grid = RoIGrid((3, 3), 0.25, ratio)
    output = roi_align(feature, rois, grid)
    grad = torch.from_numpy(rng.normal(size=output.shape))
    grad_feature = roi_align_backward(grad, rois, feature.shape, grid)
    torch.testing.assert_close((output * grad).sum(), (feature * grad_feature).sum())


@pytest.mark.parametrize('ratio', [0, 2])
def test_small_chunks_change_nothing(monkeypatch, ratio):
    rng = np.random.default_rng(1)
    feature, rois = torch.from_numpy(rng.normal(size=(2, 4, 30, 30))), some_boxes(rng, 40, 2, 120)
    grid = RoIGrid((7, 7), 0.25, ratio)
    output = roi_align(feature, rois, grid)
    back = roi_align_backward(output, rois, feature.shape, grid)
    monkeypatch.setattr(module, 'MAX_ENTRIES', 3000)
    torch.testing.assert_close(roi_align(feature, rois, grid), output)
    torch.testing.assert_close(roi_align_backward(output, rois, feature.shape, grid), back)


def test_no_boxes_and_boxes_that_are_not_finite():
    feature, grid = torch.ones(1, 2, 5, 5), RoIGrid((2, 2))
    assert roi_align(feature, torch.zeros(0, 5), grid).shape == (0, 2, 2, 2)
    none = roi_align_backward(torch.zeros(0, 2, 2, 2), torch.zeros(0, 5), (1, 2, 5, 5), grid)
    assert none.shape == (1, 2, 5, 5)
    assert not none.any()
    nan, inf = float('nan'), float('inf')
    diverged = torch.tensor([[0, nan, nan, nan, nan], [0, 0, 0, inf, inf]])
    assert not roi_align(feature, diverged, grid).any()


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(dtype):
    rng = np.random.default_rng(2)
    feature = torch.from_numpy(rng.normal(size=(1, 8, 16, 16))).to(dtype)
    rois, grid = some_boxes(rng, 10, 1, 64).float(), RoIGrid((7, 7), 0.25)
    pooled = roi_align(feature, rois, grid)
    assert pooled.dtype == dtype
    torch.testing.assert_close(pooled, roi_align(feature.float(), rois, grid).to(dtype))
    back = roi_align_backward(pooled, rois, feature.shape, grid)
    expected = roi_align_backward(pooled.float(), rois, feature.shape, grid)
    torch.testing.assert_close(back, expected.to(dtype))
