"""A teacher beside the model that learns from it."""

import torch
from torch import Tensor

from pretrain.targets.frozen import Frozen
from pretrain.teachers.base import Grid, Teacher


class FrozenTeacher(Frozen):
    """A teacher whose grid is checked, in no state dict and no optimizer (see `Frozen`).

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
        super().__init__(net)
        self.embed_dim = net.embed_dim

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """image (B, 3, H, W) in [0, 1] -> features (B, N, T), no gradient."""
        return self.beside(image)(image)
