"""Blur: image (H, W, 3) uint8 RGB, severity 1..5, generator -> the same, blurred."""

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import fft


def defocus_blur(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """A lens out of focus: a disk whose edge is smoothed."""
    radius, smooth = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[severity - 1]
    reach = max(8, radius)
    offset = np.arange(-reach, reach + 1)
    disk = (np.hypot(*np.meshgrid(offset, offset)) <= radius).astype(np.float32)
    taps = 3 if radius <= 8 else 5
    kernel = cv2.GaussianBlur(disk / disk.sum(), (taps, taps), smooth)
    planes = cv2.copyMakeBorder(image, *[reach] * 4, cv2.BORDER_REFLECT_101).astype(np.float32)
    planes = planes.transpose(2, 0, 1)
    # A seventh of the time of filter2D, whose own transform works in small tiles.
    size = [fft.next_fast_len(side, real=True) for side in planes.shape[1:]]
    product = fft.rfft2(planes, size) * fft.rfft2(kernel, size)
    blurred = fft.irfft2(product, size)[:, 2 * reach :, 2 * reach :]
    blurred = blurred[:, : image.shape[0], : image.shape[1]].transpose(1, 2, 0)
    # what rounding errors have put under a whole number is that number
    return np.clip(blurred + 1e-3, 0, 255).astype(np.uint8)


def glass_blur(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """Frosted glass: pixels change places with near ones between two weak Gaussian blurs."""
    sigma, reach, rounds = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[
        severity - 1
    ]
    mixed = gaussian(image, sigma)
    height, width = image.shape[:2]
    inner = (max(0, height - 2 * reach), max(0, width - 2 * reach))
    for _ in range(rounds):
        offset = rng.integers(-reach, reach, (2, *inner), dtype=np.int32)
        source = _sources(offset, reach, height, width)
        mixed = mixed.reshape(-1, 3)[source].reshape(image.shape)
    return gaussian(mixed, sigma)


def _sources(offset: NDArray, reach: int, height: int, width: int) -> NDArray:
    """Flat index (H * W,) of the pixel whose value each pixel ends up with.

    The published loop visits the inner pixels from the last to the first, and means to swap each
    with the one at its offset (2, H', W'). In numpy it copies instead: the second half of the
    swap reads what the first half has written. What was made with it are copies, so ours are.
    A pixel that copies from one visited before it gets what that one has copied: the chains of
    copies are followed for all pixels at once, at doubling speed.
    """
    here = np.arange(height * width, dtype=np.int32)
    inner = here.reshape(height, width)[reach + 1 :, reach + 1 :]
    inner = inner[: offset.shape[1], : offset.shape[2]].ravel()
    wanted = inner + (offset[0] * width + offset[1]).ravel()
    # Entry i: where pixel i gets its value from once visited; entry H * W + i: pixel i untouched.
    visited = np.zeros(height * width, bool)
    visited[inner] = True
    count = height * width
    follow = np.concatenate([here + count, here + count])
    follow[inner] = np.where(visited[wanted] & (wanted > inner), wanted, wanted + count)
    while (follow[inner] < count).any():
        follow = follow[follow]
    return follow[:count] - count


def motion_blur(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """A moving camera, up to 45 degrees from level."""
    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[severity - 1]
    blurred = streaked(image.astype(np.float32), radius, sigma, rng.uniform(-45, 45))
    return np.clip(blurred, 0, 255).astype(np.uint8)


def zoom_blur(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """A camera that moves ahead: the mean of the picture and its enlargements."""
    largest, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[
        severity - 1
    ]
    factors = np.arange(1, largest, step)
    plain = image.astype(np.float32)
    total = plain.copy()
    for factor in factors:
        total += enlarged(plain, float(factor))
    total /= len(factors) + 1
    return np.clip(total, 0, 255).astype(np.uint8)


def gaussian(image: NDArray, sigma: float) -> NDArray:
    """uint8 -> uint8, blurred up to four deviations."""
    taps = 2 * int(4 * sigma + 0.5) + 1
    smooth = cv2.GaussianBlur(
        image.astype(np.float32), (taps, taps), sigma, borderType=cv2.BORDER_REPLICATE
    )
    return np.clip(smooth, 0, 255).astype(np.uint8)


def streaked(image: NDArray, radius: int, sigma: float, angle: float) -> NDArray:
    """(H, W) or (H, W, 3) float32, blurred along a line to one side.

    ImageNet-C took ImageMagick's motion blur. This is the kernel that stands for it in
    `imagecorruptions`: step i of 0 .. 2 radius weighs exp(-i^2 / 2 sigma^2) and lies at the pixel
    next to i steps along `angle` (degrees). Beyond the edge its pixels go on.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    turned = math.radians(angle)
    rows, columns = (
        np.ceil(steps * way - 0.5).astype(int) for way in (math.sin(turned), math.cos(turned))
    )
    left, top = max(0, -columns.min()), max(0, -rows.min())
    right, bottom = max(0, columns.max()), max(0, rows.max())
    wide = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REPLICATE)
    height, width = image.shape[:2]
    total = np.zeros_like(image)
    for row, column, weight in zip(rows + top, columns + left, weights / weights.sum()):
        total = cv2.scaleAdd(wide[row : row + height, column : column + width], weight, total)
    return total


def enlarged(image: NDArray, factor: float) -> NDArray:
    """(H, W, C) float32 -> the same size: its middle, bilinear between its corner pixels."""
    height, width = image.shape[:2]
    inner = [math.ceil(side / factor) for side in (height, width)]
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    middle = image[top : top + inner[0], left : left + inner[1]]
    return stretched(middle, factor)[:height, :width]


def stretched(image: NDArray, factor: float) -> NDArray:
    """(H, W, C) float32 -> (round(factor H), round(factor W), C), corners on corners."""
    size = [round(side * factor) for side in image.shape[:2]]
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    large = F.interpolate(planes, size, mode='bilinear', align_corners=True)
    return large[0].permute(1, 2, 0).numpy()
