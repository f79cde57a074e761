"""A frozen teacher's features of every patch: what MAE, SimMIM and VQ-KD may predict.

    teacher -> block or blocks -> aligned to the student's grid -> each block normalised
            -> their mean, or one beside the other -> normalised

Teacher, read-out, aligner, norm, selector and loss are chosen independently: each of them differs
between published methods (Img2Vec, EVA, MVP, MILAN, MaskDistill, Feature Distillation, dBOT).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from mim_backbones.backbones.base import check_option
from mim_backbones.training.precision import autocast
from pretrain.images.dataset import View
from pretrain.images.feature_cache import FeatureCache
from pretrain.registry import MODELS, build
from pretrain.targets.aligners import ALIGNERS, MODES, aligned_grid, fitting_size
from pretrain.targets.base import Student, Target, Wanted, files_in
from pretrain.targets.frozen import Frozen
from pretrain.targets.norms import NORMS, OF_POSITIONS
from pretrain.teachers.base import Features, Teacher, packed, unpacked

# A name, or a dict of a name under 'type' and arguments.
Choice = str | Mapping[str, Any]
Function = Callable[..., Tensor]


@MODELS.register_module()
class FeatureTarget(Target):
    """RGB in [0, 1] -> features (B, T, h, w) of a teacher, normalised; one vector beside.

    Args:
        teacher: a teacher of `teachers/` or its config. Left out, its input_size is the student's,
            or the one that aligner='input' finds.
        norm: of the channels: a name of `norms.NORMS`, a dict of that and its arguments, such as
            `dict(type='layer', unbiased=True)`, or several to be applied in turn.
        aligner: a name of `aligners.ALIGNERS`, or a dict of that and its arguments.
        block_norm: where the teacher gives several blocks, the norm of each by itself.
        join: what becomes of several blocks: their 'mean', or 'concat', all of them to predict.
        whole: the vector of the image as a whole: 'own', the teacher's (a CLS token where it has
            one), or 'mean', of all its patches.
        importance: whether `Wanted.importance` is given, from a teacher's CLS token (MILAN).
        interpolation: of a view of its own; default: the student's view where the sizes agree,
            else 'bicubic'.
        precision: see `Frozen`. Norm and alignment are in float32 whatever it is.
        cache: folder for features on disk, see images/feature_cache.py; for data sets with
            crop='centre'. None: the teacher is asked in every step.
        cache_gib: what that folder may take.

    Raises:
        ValueError: no such option, the grids do not agree, or an importance that the teacher does
            not give, has on another grid or not on file.
        UserError: what the teacher refuses, missing weights among it.
    """

    kind = 'features'
    state = 'frozen'

    def __init__(
        self,
        teacher: Teacher | dict[str, Any],
        norm: Choice | Sequence[Choice] = 'none',
        aligner: Choice = 'same',
        block_norm: Choice | Sequence[Choice] = 'none',
        join: str = 'mean',
        whole: str = 'own',
        importance: bool = False,
        interpolation: str | None = None,
        precision: str = 'same',
        cache: str | None = None,
        cache_gib: float = 50.0,
    ) -> None:
        super().__init__()
        check_option('FeatureTarget', 'join', join, ('mean', 'concat'))
        check_option('FeatureTarget', 'whole', whole, ('own', 'mean'))
        self._given = (teacher,)  # in a tuple: no submodule
        self.norm, self.block_norm, self.aligner = norm, block_norm, aligner
        self.join, self.whole_from, self.importance = join, whole, importance
        self.norms = [chosen('norm', one, NORMS) for one in listed(norm)]
        self.block_norms = [chosen('block_norm', one, NORMS) for one in listed(block_norm)]
        self.align = chosen('aligner', aligner, ALIGNERS)
        mode = self.align.keywords.get('mode', MODES[0])
        check_option('FeatureTarget', 'aligner.mode', mode, MODES)
        self.interpolation, self.precision = interpolation, precision
        self.cache, self.cache_gib = cache, cache_gib
        self.files = files_in(teacher)

    def bind(self, student: Student) -> None:
        teacher = self._fitting(student)
        self.grid = aligned_grid(named(self.aligner), teacher, student)
        self.stride = student.img_size[0] // self.grid[0]
        if self.importance:
            if self.cache or self.grid != tuple(teacher.grid):
                raise ValueError(
                    'FeatureTarget: importance is read on the grid of the teacher, and kept on no '
                    "file; leave the cache out, and take aligner='same'"
                )
            teacher.look()
        self.frozen = Frozen(teacher, self.precision)
        self.blocks = teacher.num_blocks
        self.width = teacher.embed_dim * (self.blocks if self.join == 'concat' else 1)
        # A norm over positions has nothing to say of one vector.
        names = {named(one) for one in (*listed(self.norm), *listed(self.block_norm))}
        given = teacher.whole or self.whole_from == 'mean'
        self.whole = given and names.isdisjoint(OF_POSITIONS)
        if self.interpolation or teacher.input_size != student.img_size[0]:
            self.view = View(teacher.input_size, self.interpolation or 'bicubic')
        self.keep_fingerprint(self.frozen.fingerprint(self.reading()))
        if self.cache:
            self.known = self._cache(teacher)

    def reading(self) -> dict[str, Any]:
        said = ('norm', 'aligner', 'block_norm', 'join')
        read = {name: getattr(self, name) for name in said}
        return {**self.frozen.facts(), **read, 'whole': self.whole_from}

    def forward(self, image: Tensor) -> Wanted:
        with self.frozen.asked(image) as teacher:
            found = teacher(image)
        return self.fitted(found)

    def stored(self, rows: Tensor) -> Wanted:
        teacher = self.frozen.net
        return self.fitted(unpacked(rows, teacher.num_blocks, teacher.whole))

    def fitted(self, found: Features) -> Wanted:
        """What the teacher says, as the student is to."""
        with torch.autocast(found.patches.device.type, enabled=False):
            tokens, whole = ([x] if self.blocks == 1 else x for x in found[:2])
            maps = [x.float().transpose(1, 2).unflatten(2, self.frozen.net.grid) for x in tokens]
            values = self._joined([self.align(x, self.grid) for x in maps])
            looked = found.importance
            importance = None if looked is None else looked.unflatten(1, self.grid)
            if not self.whole:
                return Wanted(values, None, importance)
            if self.whole_from == 'mean':
                whole = [x.mean((2, 3)) for x in maps]
            return Wanted(values, self._joined([x.float() for x in whole]), importance)

    def _joined(self, blocks: Sequence[Tensor]) -> Tensor:
        """Of each block (B, T, ...), normalised by itself, what is to be predicted."""
        each = [applied(self.block_norms, block) for block in blocks]
        if len(each) == 1:
            return applied(self.norms, each[0])
        one = torch.cat(each, dim=1) if self.join == 'concat' else torch.stack(each).mean(0)
        return applied(self.norms, one)

    def _cache(self, teacher: Teacher) -> FeatureCache:
        """Of what the teacher says, before norm and alignment: other students read it too."""
        digest = bytes(self.frozen.fingerprint(self.frozen.facts()).tolist()).hex()
        rows = teacher.num_blocks * (teacher.grid[0] * teacher.grid[1] + teacher.whole)
        return FeatureCache(
            self.cache, self.cache_gib, f'{digest} {self.precision}', self._rows,
            (rows, teacher.embed_dim),
        )  # fmt: skip

    def _rows(self, image: Tensor) -> Tensor:
        with autocast(image.device.type), self.frozen.asked(image) as teacher:
            return packed(teacher(image))

    def _fitting(self, student: Student) -> Teacher:
        """The teacher, at the size it is to see."""
        (teacher,) = self._given
        if isinstance(teacher, Teacher):
            return teacher
        if named(self.aligner) != 'input':
            return build(MODELS, {'input_size': student.img_size[0], **teacher})
        built = build(MODELS, teacher)
        size = fitting_size(built, student)
        if 'input_size' in teacher or built.input_size == size:
            return built
        return build(MODELS, {**teacher, 'input_size': size})


def listed(norm: Choice | Sequence[Choice]) -> list[Choice]:
    return [norm] if isinstance(norm, str | Mapping) else list(norm)


def named(choice: Choice) -> str:
    return choice if isinstance(choice, str) else choice['type']


def chosen(option: str, choice: Choice, known: Mapping[str, Function]) -> partial[Tensor]:
    """A function by its name, with the arguments that the config gives.

    Raises:
        ValueError: there is no such function, or it has no such argument.
    """
    name = named(choice)
    check_option('FeatureTarget', option, name, tuple(known))
    rest = {} if isinstance(choice, str) else {k: v for k, v in choice.items() if k != 'type'}
    surplus = rest.keys() - signature(known[name]).parameters.keys()
    if surplus:
        raise ValueError(f'FeatureTarget: {option} {name!r} takes no {sorted(surplus)[0]}')
    return partial(known[name], **rest)


def applied(norms: Sequence[Function], x: Tensor) -> Tensor:
    """One norm after the other."""
    return reduce(lambda x, norm: norm(x), norms, x)
