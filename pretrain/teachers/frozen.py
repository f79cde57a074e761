"""A teacher beside the model that learns from it."""

import torch
from torch import Tensor

from pretrain.teachers.base import Grid, Teacher


class FrozenTeacher:
    """Holds a teacher without making it part of its owner.

    A plain object on purpose: `state_dict`, `parameters`, DistributedDataParallel and `train()` of
    the owner never see the network. It follows the images to their device.

    Args:
        net: the teacher.
        img_size: side in pixels of the learner's images.
        grid: (h, w) of the learner's tokens.

    Raises:
        ValueError: the teacher's grid is another.
    """

    def __init__(self, net: Teacher, img_size: int, grid: Grid) -> None:
        if tuple(net.grid) != tuple(grid):
            raise ValueError(
                f'the {img_size} px encoder has a grid of {grid[0]}x{grid[1]} tokens, the teacher '
                f'{type(net).__name__} one of {net.grid[0]}x{net.grid[1]} at its '
                f'{net.input_size} px; make them agree by model.teacher.input_size or '
                'model.backbone.img_size'
            )
        self.net = net.eval().requires_grad_(False)
        self.embed_dim = net.embed_dim

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """image (B, 3, H, W) in [0, 1] -> features (B, N, T), no gradient."""
        if self.net.mean.device != image.device:
            self.net.to(image.device)
        return self.net(image)
