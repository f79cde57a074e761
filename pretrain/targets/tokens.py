"""Visual tokens: ids that a frozen tokenizer gives the patches (BEiT, arXiv 2106.08254)."""

from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.errors import UserError
from pretrain.images.dataset import View
from pretrain.images.token_cache import read_token_cache
from pretrain.registry import MODELS, build
from pretrain.targets.base import Student, Target, Wanted, as_text, check_grid, files_in, pixel_grid
from pretrain.targets.frozen import Frozen


@MODELS.register_module()
class TokenTarget(Target):
    """RGB in [0, 1] -> ids (B, h, w) in [0, width).

    The tokenizer looks at the size at which its grid is the student's: DALL-E's dVAE, 8 px a token,
    sees 112 px of a 224 px image, one token for each of its 16 px patches, as in BEiT.

    Args:
        tokenizer: a tokenizer or its config: `codes`, `encode(image) -> ids (B, h, w)`, and
            `token_px`, its pixels per token, unless it takes the student's image as it is.
        stride: pixels of the student's image per token; default: per token of its last map.
        input_size: side in pixels of what the tokenizer sees; default: as said.
        interpolation: of a view of its own; default: the student's view where the sizes agree,
            else 'bicubic'.
        precision: see `Frozen`.

    Raises:
        ValueError: no tokenizer, or its grid is not the student's.
    """

    kind = 'ids'
    state = 'frozen'

    def __init__(
        self,
        tokenizer: nn.Module | dict[str, Any],
        stride: int | None = None,
        input_size: int | None = None,
        interpolation: str | None = None,
        precision: str = 'fp32',
    ) -> None:
        super().__init__()
        net = tokenizer if isinstance(tokenizer, nn.Module) else build(MODELS, tokenizer)
        if not (hasattr(net, 'codes') and hasattr(net, 'encode')):
            raise ValueError(
                f'{type(net).__name__} is no tokenizer; one has `codes` and `encode(image) -> ids`'
            )
        self.frozen = Frozen(net, precision)
        self.width = int(net.codes)
        self.stride = stride
        self.input_size, self.interpolation = input_size, interpolation
        self.files = files_in(tokenizer)
        self.keep_fingerprint(self.frozen.fingerprint())

    def bind(self, student: Student) -> None:
        self.stride = self.stride or student.stride
        wanted = Student(student.name, student.img_size, self.stride)
        self.grid = pixel_grid(self, wanted)
        token_px = getattr(self.frozen.net, 'token_px', None)
        own = self.grid[0] * token_px if token_px else student.img_size[0]
        self.input_size = self.input_size or own
        if self.interpolation or self.input_size != student.img_size[0]:
            self.view = View(self.input_size, self.interpolation or 'bicubic')
        width = self.input_size * self.grid[1] // self.grid[0]
        found = self.ids(torch.zeros(1, 3, self.input_size, width))
        name = type(self.frozen.net).__name__
        check_grid(
            f'{name} at {self.input_size} px', found.shape[1:], wanted,
            'change model.target.input_size or model.target.stride',
        )  # fmt: skip

    def forward(self, image: Tensor) -> Wanted:
        height = self.input_size
        width = height * self.grid[1] // self.grid[0]
        if tuple(image.shape[-2:]) != (height, width):
            image = F.interpolate(
                image, (height, width), mode='bicubic', align_corners=False, antialias=True
            ).clamp(0, 1)
        return Wanted(self.ids(image))

    def ids(self, image: Tensor) -> Tensor:
        """image in [0, 1], of the tokenizer's size -> ids."""
        with self.frozen.asked(image) as net:
            return net.encode(image)


@MODELS.register_module()
class CachedTokens(Target):
    """Ids that are on file: a tokenizer's vocabulary and fingerprint, without the network.

    Args:
        file: what `mimbench tokenize` wrote of the training images.

    Raises:
        UserError: see `read_token_cache`.
        ValueError: the ids have another grid than the student.
    """

    kind = 'ids'
    state = 'frozen'

    def __init__(self, file: str) -> None:
        super().__init__()
        self.known = read_token_cache(file)
        self.width = self.known.codes
        self.files = (file,)
        self.keep_fingerprint(torch.from_numpy(self.known.digest.copy()))

    def bind(self, student: Student) -> None:
        self.grid, self.stride = student.grid, student.stride
        grid = self.known.ids.shape[1:]
        check_grid(self.known.file, grid, student, f'write ids of {as_text(student.grid)} tokens')

    def forward(self, image: Tensor) -> Wanted:
        raise UserError('CachedTokens has no network: the data set brings its ids with the images')
