"""HOG: an oracle pixel by pixel, what flips and flat colour do, what does not fit."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pretrain.images.preprocessor import to_uint8, to_unit
from pretrain.targets.base import Student
from pretrain.targets.hog import HOGTarget, whole_gradients
from tests.pretrain.small import SWIN, VIT, method


def hog(size: tuple[int, int], stride: int, **options) -> HOGTarget:
    target = HOGTarget(**options)
    target.bind(Student('ViT', size, stride))
    return target


def noise(*shape: int) -> Tensor:
    return to_unit(torch.randint(0, 256, shape, dtype=torch.uint8))


def by_pixel(image: np.ndarray, cell: int, bins: int, window: int | None) -> np.ndarray:
    """(H, W, 3) whole numbers -> (H/cell, W/cell, 3, bins) by the definition, in float64."""
    height, width, _ = image.shape
    padded = np.pad(image.astype(float), ((1, 1), (1, 1), (0, 0)), mode='reflect')
    smooth, slope = (1, 2, 1), (1, 0, -1)
    found = np.zeros((height // cell, width // cell, 3, bins))
    for y, x, colour in np.ndindex(height, width, 3):
        around = padded[y : y + 3, x : x + 3, colour]
        gx, gy = np.outer(smooth, slope), np.outer(slope, smooth)
        gx, gy = (gx * around).sum(), (gy * around).sum()
        turn = math.atan2(gx, gy) % math.pi if gx else 0.0
        weight = 1.0
        if window:
            from_middle = [p % window - (window - 1) / 2 for p in (y, x)]
            weight = math.exp(-0.5 * sum(d * d for d in from_middle) / (window // 2) ** 2)
        place = (y // cell, x // cell, colour, int(turn / math.pi * bins))
        found[place] += weight * math.hypot(gx, gy)
    length = np.linalg.norm(found, axis=3, keepdims=True)
    return found / np.where(length == 0, 1, length)


@pytest.mark.parametrize(('size', 'cell', 'bins', 'window', 'stride'), [
    ((48, 32), 8, 9, None, 16), ((48, 32), 8, 9, 16, 16), ((24, 48), 4, 6, 8, 12),
    ((30, 24), 6, 9, None, 6),
])  # fmt: skip
def test_pixel_by_pixel(size, cell: int, bins: int, window: int | None, stride: int) -> None:
    """Sixteen shades: many pixels have no horizontal gradient, and whole regions none at all."""
    image = torch.randint(0, 16, (1, 3, *size), dtype=torch.uint8) * 17
    image[..., :20, :20] = 51
    values = hog(size, stride, cell=cell, bins=bins, window=window)(to_unit(image)).values[0]
    expected = by_pixel(image[0].permute(1, 2, 0).numpy(), cell, bins, window)
    side = stride // cell
    rows = torch.from_numpy(expected).permute(2, 3, 0, 1).flatten(0, 1)  # colour, bin
    torch.testing.assert_close(values, F.pixel_unshuffle(rows, side).float(), atol=1e-5, rtol=0)


def test_shape_at_224_px_and_lengths() -> None:
    values = hog((224, 224), 16)(noise(2, 3, 224, 224)).values
    assert values.shape == (2, 108, 14, 14) and values.dtype == torch.float32
    lengths = values.unflatten(1, (3, 9, 4)).norm(dim=2)  # colour, bin, cell
    torch.testing.assert_close(lengths, torch.ones_like(lengths))


@pytest.mark.parametrize('axis', [2, 3], ids=['upside down', 'left to right'])
def test_a_flip_turns_grid_cells_and_directions(axis: int) -> None:
    """One part of the gradient changes its sign: bin b becomes 8 - b, of the mirrored cell.

    A pixel without a horizontal gradient, as all at the sides, is in the first bin either way.
    """
    target, image = hog((64, 64), 16), noise(2, 3, 64, 64)
    edge = whole_gradients(to_uint8(image))[0] == 0
    sure = F.max_pool2d(edge.float(), 8)[:, :, None].expand(-1, -1, 9, -1, -1) == 0
    assert sure.float().mean() > 0.5
    there, turned = (
        F.pixel_shuffle(target(x).values, 2).unflatten(1, (3, 9)) for x in (image, image.flip(axis))
    )
    mirrored = turned.flip(axis + 1).flip(2)
    torch.testing.assert_close(mirrored[sure], there[sure], atol=1e-5, rtol=0)


def test_flat_colour_has_no_direction_and_the_release_gives_it_one() -> None:
    shades = torch.linspace(0, 1, 32).round(decimals=2).view(-1, 1, 1, 1).expand(-1, 3, 32, 32)
    assert not hog((32, 32), 16)(shades).values.any()
    assert hog((32, 32), 16, exact=False)(shades).values.any()


def test_contrast_and_statistics_do_not_matter() -> None:
    image = torch.randint(0, 100, (1, 3, 32, 32), dtype=torch.uint8)
    target = hog((32, 32), 16)
    values = target(to_unit(image)).values
    torch.testing.assert_close(target(to_unit(2 * image + 40)).values, values)
    other = hog((32, 32), 16, exact=False, mean=(0, 0, 0), std=(1, 2, 3))(to_unit(image)).values
    assert ((other - values).abs() < 1e-5).float().mean() > 0.5


def test_half_precision_around_it_changes_nothing() -> None:
    image = noise(1, 3, 32, 32)
    for exact in (True, False):
        target = hog((32, 32), 16, exact=exact)
        with torch.autocast('cpu', torch.bfloat16):
            around = target(image).values
        assert torch.equal(around, target(image).values)


def test_the_loss_counts_hidden_tokens_alone() -> None:
    model = method('SimMIM', target={'type': 'HOGTarget'}, loss='l2').eval()
    image, mask = noise(2, 3, 32, 32), torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[0, 0, 0] = mask[1, 2] = True
    said, values = model.predict(image, mask), model.wanted(image).values
    assert said.shape == values.shape == (2, 27, 4, 4)
    errors = (said - values).square().mean(1)
    expected = (errors[0, 0, 0] + errors[1, 2].sum()) / 5
    found = model(image, mask, mode='loss')['loss']
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(('backbone', 'target', 'message'), [
    (VIT, {'cell': 6}, 'cells of 6 px, which do not divide the 8 px of a token of MIMViT; change'),
    (VIT, {'window': 12}, 'windows of 12 px, which do not divide the 32x32 px of MIMViT; change'),
    (VIT, {'bins': 0}, 'HOGTarget: bins=0; give 1 or more'),
])  # fmt: skip
def test_what_does_not_fit(backbone, target, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method('SimMIM', backbone=backbone, target={'type': 'HOGTarget', **target})


def test_a_swin_s_tokens_hold_sixteen_cells() -> None:
    model = method('SimMIM', backbone=SWIN, target={'type': 'HOGTarget'})
    image, mask = noise(1, 3, 64, 64), torch.ones(1, 16, 16, dtype=torch.bool)
    assert model.predict(image, mask).shape == model.wanted(image).values.shape == (1, 432, 2, 2)
