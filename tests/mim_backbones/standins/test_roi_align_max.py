import numpy as np
import torch

from mim_backbones.standins.roi_align_max import NOWHERE, roi_align_max, roi_align_max_backward
from mim_backbones.standins.roi_grid import RoIGrid

torch.set_num_threads(1)


def test_a_ramp_gives_its_last_sample():
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing='ij')
    ramp, box = (10 * y + x)[None, None], torch.tensor([[0, 2.0, 1, 6, 5]])
    pooled, at_y, at_x = roi_align_max(ramp, box, RoIGrid((2, 2), 1, 2))
    # By hand: samples lie at a quarter and three quarters of each 2-pixel bin, less half a pixel:
    # x 2.0, 3.0 | 4.0, 5.0 and y 1.0, 2.0 | 3.0, 4.0.
    assert pooled[0, 0].tolist() == [[23, 25], [43, 45]]
    assert at_y[0, 0].tolist() == [[2, 2], [4, 4]]
    assert at_x[0, 0].tolist() == [[3, 5], [3, 5]]


def test_each_value_lies_at_its_argmax_and_none_is_larger():
    rng = np.random.default_rng(0)
    feature = torch.from_numpy(rng.normal(size=(2, 3, 9, 9)))
    corner = torch.from_numpy(rng.uniform(-4, 30, (12, 2)))
    size = torch.from_numpy(rng.uniform(0, 30, (12, 2)))
    image = torch.from_numpy(rng.integers(0, 2, (12, 1)))
    rois, grid = torch.cat((image, corner, corner + size), 1), RoIGrid((2, 3), 0.25, 0)
    pooled, at_y, at_x = roi_align_max(feature, rois, grid)
    for k, c, i, j in np.ndindex(*pooled.shape):
        plane, samples = feature[int(image[k, 0]), c].numpy(), []
        y1, x1 = corner[k, 1] * 0.25 - 0.5, corner[k, 0] * 0.25 - 0.5
        bin_y, bin_x = float(size[k, 1]) * 0.25 / 2, float(size[k, 0]) * 0.25 / 3
        n_y, n_x = int(np.ceil(bin_y)), int(np.ceil(bin_x))
        for s, t in np.ndindex(n_y, n_x):
            y = float(y1) + i * bin_y + (s + 0.5) * bin_y / n_y
            x = float(x1) + j * bin_x + (t + 0.5) * bin_x / n_x
            samples.append(_bilinear(plane, y, x))
        np.testing.assert_allclose(pooled[k, c, i, j], max(samples), atol=1e-10)
        position = float(at_y[k, c, i, j]), float(at_x[k, c, i, j])
        np.testing.assert_allclose(_bilinear(plane, *position), max(samples), atol=1e-10)


def test_gradient():
    rng = np.random.default_rng(1)
    feature = torch.from_numpy(rng.normal(size=(1, 2, 6, 6)))
    rois, grid = torch.tensor([[0, 1.0, 1, 5, 5], [0, -2, 0, 3, 9]]).double(), RoIGrid((2, 2))
    pooled, at_y, at_x = roi_align_max(feature, rois, grid)
    grad = torch.from_numpy(rng.normal(size=pooled.shape))
    back = roi_align_max_backward(grad, rois, at_y, at_x, feature.shape)
    step = torch.from_numpy(rng.normal(size=feature.shape)) * 1e-6  # too small to move an argmax
    change = roi_align_max(feature + step, rois, grid)[0] - pooled
    torch.testing.assert_close((change * grad).sum(), (back * step).sum(), rtol=1e-5, atol=1e-12)


def test_a_bin_without_samples_is_zero_and_takes_no_gradient():
    empty, grid = torch.tensor([[0, 2.0, 2, 2, 2]]), RoIGrid((2, 2))
    pooled, at_y, at_x = roi_align_max(torch.ones(1, 1, 4, 4), empty, grid)
    assert not pooled.any()
    assert (at_y == NOWHERE).all()
    assert not roi_align_max_backward(pooled + 1, empty, at_y, at_x, (1, 1, 4, 4)).any()


def _bilinear(plane: np.ndarray, y: float, x: float) -> float:
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    hat_y = np.maximum(0, 1 - abs(np.arange(height) - np.clip(y, 0, height - 1)))
    hat_x = np.maximum(0, 1 - abs(np.arange(width) - np.clip(x, 0, width - 1)))
    return float(hat_y @ plane @ hat_x)
