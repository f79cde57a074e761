"""A frozen teacher's features of every patch: VQ-KD rebuilds them, SimMIM can predict them."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pretrain.images.dataset import View
from pretrain.registry import MODELS, build
from pretrain.targets.base import Student, Target, Wanted, check_grid, files_in
from pretrain.targets.frozen import Frozen
from pretrain.teachers.base import Teacher

# What the channels of each position become, (B, T, ...) -> the same; see `targets.md` of the field:
# the published methods differ in this and in the loss.
NORMS = {
    'none': lambda x: x,
    'layer': lambda x: F.layer_norm(x.movedim(1, -1), x.shape[1:2], eps=1e-6).movedim(-1, 1),
    'l2': lambda x: F.normalize(x, dim=1),
}
# How a teacher's map (B, T, h, w) comes to the student's grid.
ALIGNERS = {
    'same': lambda maps, grid: maps,
    'interpolate': lambda maps, grid: F.interpolate(
        maps, grid, mode='bilinear', align_corners=False, antialias=True
    ),
}


@MODELS.register_module()
class FeatureTarget(Target):
    """RGB in [0, 1] -> features (B, T, h, w) of a teacher, normalised; of its CLS token beside.

    Args:
        teacher: a teacher of `teachers/` or its config. Left out, its input_size is the student's.
        norm: 'none', 'layer' (LayerNorm without affine) or 'l2', over the channels.
        aligner: 'same': the grids have to agree; 'interpolate': to the student's grid.
        interpolation: of a view of its own; default: the student's view where the sizes agree,
            else 'bicubic'.
        precision: see `Frozen`. Norm and alignment are in float32 whatever it is.

    Raises:
        ValueError: no such option, or the grids do not agree.
        UserError: what the teacher refuses, missing weights among it.
    """

    kind = 'features'
    state = 'frozen'

    def __init__(
        self,
        teacher: Teacher | dict[str, Any],
        norm: str = 'none',
        aligner: str = 'same',
        interpolation: str | None = None,
        precision: str = 'same',
    ) -> None:
        super().__init__()
        for name, value, known in (('norm', norm, NORMS), ('aligner', aligner, ALIGNERS)):
            if value not in known:
                raise ValueError(f'FeatureTarget: {name}={value!r}; known: {", ".join(known)}')
        self._given = (teacher,)  # in a tuple: no submodule
        self.norm, self.aligner = norm, aligner
        self.interpolation, self.precision = interpolation, precision
        self.files = files_in(teacher)

    def bind(self, student: Student) -> None:
        (teacher,) = self._given
        if not isinstance(teacher, Teacher):
            teacher = build(MODELS, {'input_size': student.img_size[0], **teacher})
        if self.aligner == 'same':
            size = teacher.input_size * student.grid[0] // teacher.grid[0]
            check_grid(
                f'{type(teacher).__name__} at {teacher.input_size} px', teacher.grid, student,
                f'model.target.teacher.input_size={size} would fit, or aligner="interpolate"',
            )  # fmt: skip
        self.frozen = Frozen(teacher, self.precision)
        self.width, self.whole = teacher.embed_dim, teacher.whole
        self.grid, self.stride = student.grid, student.stride
        if self.interpolation or teacher.input_size != student.img_size[0]:
            self.view = View(teacher.input_size, self.interpolation or 'bicubic')
        self.keep_fingerprint(self.frozen.fingerprint())

    def forward(self, image: Tensor) -> Wanted:
        with self.frozen.asked(image) as teacher:
            found = teacher(image)
            maps = found.patches.transpose(1, 2).unflatten(2, teacher.grid)
        with torch.autocast(image.device.type, enabled=False):
            norm, align = NORMS[self.norm], ALIGNERS[self.aligner]
            whole = None if found.whole is None else norm(found.whole.float())
            return Wanted(norm(align(maps.float(), self.grid)), whole)
