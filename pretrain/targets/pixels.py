"""The image itself: as it is, reduced, or normalised by a sliding window.

PixelTarget       arXiv 2111.09886, section 3.4
NormalisedTarget  y_p = (x_p - mean_p) / sqrt(var_p + 1e-6) over the k x k window around p, per
                  channel; microsoft/Swin-Transformer, models/simmim.py (window 47), used by SwinV2;
                  no paper states it
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.backbones.base import check_option
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD, Normalise
from pretrain.registry import MODELS
from pretrain.targets.base import Student, Target, Wanted, pixel_grid

EPS = 1e-6


class ReducedTarget(Target):
    """One position for each square of r x r pixels.

    Raises:
        ValueError: r is no whole number; in `bind`: it does not divide the image.
    """

    drawable = True

    def __init__(self, reduce: int = 1) -> None:
        super().__init__()
        if reduce < 1 or int(reduce) != reduce:
            name = type(self).__name__
            raise ValueError(
                f'{name}: reduce={reduce!r}; give a whole number of pixels, 1 for none'
            )
        self.stride = reduce

    def bind(self, student: Student) -> None:
        self.grid = pixel_grid(self, student)

    def means(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H/r, W/r), the means of the squares."""
        return image if self.stride == 1 else F.avg_pool2d(image, self.stride)


@MODELS.register_module()
class PixelTarget(ReducedTarget):
    """Normalised pixels (B, C, H/r, W/r), the means of r x r squares.

    The paper predicts 192 px images at 6^2 to 192^2, r = 32 to 1, without saying how it reduces
    them; a mean of areas is our reading.

    Args:
        reduce: r.
        mean, std: per channel, of images in [0, 1].
        channels: C.
    """

    kind = 'pixels'

    def __init__(
        self,
        reduce: int = 1,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        channels: int = 3,
    ) -> None:
        super().__init__(reduce)
        self.normalise = Normalise(mean, std)
        self.width = channels

    def forward(self, image: Tensor) -> Wanted:
        return Wanted(self.means(self.normalise(image)))

    def pixels(self, pred: Tensor, image: Tensor) -> Tensor:
        return self.normalise.undo(pred)


@MODELS.register_module()
class NormalisedTarget(ReducedTarget):
    """Every pixel in units of its surroundings, (B, 3, H, W).

    Not MAE's normalisation by patch: the window is centred on each pixel. What lies outside the
    image counts neither in the means nor in their numbers.

    Args:
        window: k, odd, in pixels.
        precision: of the window's statistics. A variance is a difference of two means of
            squares, which loses in 'float32' as much as flat regions have, where the epsilon is
            all there is to divide by; the released code does so, and this repeats it. 'float64'
            keeps them.
        mean, std: what the epsilon is small against: the image is first normalised by these.

    Raises:
        ValueError: an even window, one of a single pixel, or no such precision.
    """

    kind = 'pixels'
    width = 3

    def __init__(
        self,
        window: int = 47,
        precision: str = 'float64',
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        if window % 2 == 0 or window < 3:
            raise ValueError(f'NormalisedTarget: window={window}; give an odd number from 3 up')
        check_option('NormalisedTarget', 'precision', precision, tuple(PRECISIONS))
        self.window = window
        self.statistics = PRECISIONS[precision]
        self.normalise = Normalise(mean, std)

    def forward(self, image: Tensor) -> Wanted:
        image = self.normalise(image)
        mean, std = self.statistics(image, self.window)
        return Wanted(((image - mean) / std).to(image.dtype))

    def pixels(self, pred: Tensor, image: Tensor) -> Tensor:
        """The prediction scaled back by what surrounds each pixel of the original."""
        mean, std = self.statistics(self.normalise(image), self.window)
        return self.normalise.undo((pred * std + mean).to(image.dtype))


def exact_statistics(image: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Mean and sqrt(unbiased variance + 1e-6) of the window around each pixel.

    Returns:
        Two (B, C, H, W) float64.
    """
    image = image.double()
    sums, squares, counts = (
        box_sum(x, window) for x in (image, image.square(), torch.ones_like(image[:1, :1]))
    )
    mean = sums / counts
    variance = (squares / counts - mean.square()) * counts / (counts - 1)
    return mean, (variance.clamp(min=0) + EPS).sqrt()


def released_statistics(image: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """The same in the image's own precision, and to the last bit as SimMIM's released code.

    Its order of operations decides what is left of a flat region's variance: pooled means, the
    counts by pooling too, the unbiased factor divided first.
    """
    mean, squares = (mean_pool(x, window, borders=False) for x in (image, image.square()))
    counts = mean_pool(torch.ones_like(image), window, borders=True) * window**2
    variance = (squares - mean.square()) * (counts / (counts - 1))
    return mean, (variance.clamp(min=0) + EPS) ** 0.5


PRECISIONS = {'float64': exact_statistics, 'float32': released_statistics}


def mean_pool(x: Tensor, window: int, borders: bool) -> Tensor:
    """Means of k x k windows; borders: whether what lies outside counts, as zeros."""
    return F.avg_pool2d(x, window, 1, window // 2, count_include_pad=borders)


def box_sum(x: Tensor, window: int) -> Tensor:
    """Sums over k x k windows, cut off at the borders: (B, C, H, W) -> the same.

    Differences of running sums, one axis at a time: the cost does not depend on the window.
    """
    for dim in (-1, -2):
        side = x.shape[dim]
        running = F.pad(x.movedim(dim, -1).cumsum(-1), (1, 0))
        here = torch.arange(side, device=x.device)
        ends = (here + window // 2 + 1).clamp(max=side)
        starts = (here - window // 2).clamp(min=0)
        x = (running[..., ends] - running[..., starts]).movedim(-1, dim)
    return x
