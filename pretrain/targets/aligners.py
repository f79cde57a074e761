"""How a teacher's map comes to the student's grid, or the student's predictions to the teacher's.

    same          the grids agree: another stage, a dilated one, another patch
    input         they are made to: the teacher looks at the image at the size that gives the grid
    interpolate   the map is resampled
    average       means of the cells of a finer map
    pool          the target keeps its coarser grid, and the student's predictions are averaged

A CNN of stride 32 has 7 x 7 cells of a 224 px image, a ViT-B/16 14 x 14 tokens. Which of these a
published method took is often not said; they change the features' diversity.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from pretrain.targets.base import Grid, Student, check_grid, multiple
from pretrain.teachers.base import Teacher


def same(maps: Tensor, grid: Grid) -> Tensor:
    """(B, T, h, w) as it is."""
    return maps


MODES = ('bilinear', 'bicubic', 'nearest')


def interpolate(maps: Tensor, grid: Grid, mode: str = 'bilinear') -> Tensor:
    """(B, T, h, w) -> (B, T, *grid), by one of MODES; the first two low-pass what they shrink."""
    if mode == 'nearest':
        return F.interpolate(maps, grid, mode='nearest-exact')
    return F.interpolate(maps, grid, mode=mode, align_corners=False, antialias=True)


def average(maps: Tensor, grid: Grid) -> Tensor:
    """(B, T, h, w) -> (B, T, *grid), means of h / rows x w / columns cells."""
    return F.avg_pool2d(maps, (maps.shape[2] // grid[0], maps.shape[3] // grid[1]))


ALIGNERS: dict[str, Callable[..., Tensor]] = {
    'same': same, 'input': same, 'interpolate': interpolate, 'average': average, 'pool': same,
}  # fmt: skip


def aligned_grid(aligner: str, teacher: Teacher, student: Student) -> Grid:
    """The target's grid.

    Raises:
        ValueError: the aligner cannot bring the one to the other; the message names both grids.
    """
    theirs, ours = tuple(teacher.grid), student.grid
    who = f'{type(teacher).__name__} at {teacher.input_size} px'
    if aligner in ('same', 'input'):
        size = fitting_size(teacher, student)
        mend = f'model.target.teacher.input_size={size} would fit, or aligner="interpolate"'
        check_grid(who, theirs, student, mend)
    elif aligner == 'average' and not multiple(theirs, ours):
        check_grid(who, theirs, student, 'aligner="average" wants a multiple of the second')
    elif aligner == 'pool':
        if not multiple(ours, theirs):
            check_grid(who, theirs, student, 'aligner="pool" wants a multiple of the first')
        return theirs
    return ours


def fitting_size(teacher: Teacher, student: Student) -> int:
    """Side in pixels at which the teacher has the student's grid."""
    return teacher.input_size * student.grid[0] // teacher.grid[0]
