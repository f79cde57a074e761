"""What every backbone shares: loading through `init_cfg`, recomputing blocks, rules for optimizers.

Beyond the methods below each family answers

    forward(image) -> one map per out_index            forward_tokens(image, mask) -> last map
    forward_visible(image, mask, keep) -> tokens        intermediates(image, indices, norm_last)
    forward_pooled(image, pool) -> (B, D)               fit_state(state) -> state, resized
    block_inputs(image, places, mask, keep) -> tokens   attention_logits(block, x, grid, keep)
    related(block, place) -> what those logits are of   blocks, in the order they run

and has embed_dim, patch_size, mask_size (pixels per side of what a cell of a mask covers), stride
(of the last map, in pixels), last_dim (its channels) and num_features (channels of each map that
forward returns).
"""

import inspect
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor

from mim_backbones.backbones.layers.block import run_block
from mim_backbones.errors import UserError
from mim_backbones.registry import WEIGHT_INITIALIZERS

# Last parts of the names of tokens and position tables: offsets that nothing gains from pulling
# to zero. What published code decays of them, `LayerDecayConstructor` can too.
TOKENS = ('cls_token', 'mask_token', 'register_tokens')
POSITIONS = (
    'pos_embed',
    'absolute_pos_embed',
    'relative_position_bias_table',
    'rel_pos_h',
    'rel_pos_w',
)


class MIMBackbone(BaseModule):
    """Base of MIMViT, MIMSwin and MIMHiera.

    `init_cfg=dict(type='Pretrained', checkpoint=FILE)` loads FILE through
    `mim_backbones.checkpoints.load.Pretrained`, which recognises its dialect and raises when a
    parameter stays uncovered; `checkpoint=None` keeps the random start. Its other arguments
    (weights, leave_out, grid) are entries of `init_cfg` too.
    """

    with_cp = False
    embed_dim: int
    patch_size: int
    mask_size: int
    stride: int
    num_features: tuple[int, ...]
    frozen_stages: int
    mask_token: nn.Parameter | None
    built_with: dict[str, Any]  # constructor arguments as given, by name, without init_cfg

    def __new__(cls, *args: Any, **kwargs: Any) -> 'MIMBackbone':
        """Keeps the arguments, so that the backbone can be saved with what rebuilds it."""
        backbone = super().__new__(cls)
        signature = inspect.signature(cls.__init__)
        try:
            given = dict(signature.bind_partial(backbone, *args, **kwargs).arguments)
        except TypeError as error:
            raise TypeError(f'{cls.__name__}: {error}') from None
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                given.update(given.pop(parameter.name, {}))
        given.pop('init_cfg', None)
        # Past nn.Module, whose own attributes come with its constructor.
        backbone.__dict__['built_with'] = dict(list(given.items())[1:])
        return backbone

    @property
    def last_dim(self) -> int:
        """Channels of the last map: what halves the resolution doubles the width."""
        return self.embed_dim * self.stride // self.patch_size

    def init_weights(self) -> None:
        if self._is_init or not self.init_cfg:
            return
        if self.init_cfg['type'] != 'Pretrained':
            super().init_weights()
            return
        options = {key: value for key, value in self.init_cfg.items() if key != 'type'}
        # By name: the loader builds backbones, so no backbone can import it.
        WEIGHT_INITIALIZERS.get('Pretrained')(**options)(self)
        self._is_init = True

    def train(self, mode: bool = True) -> 'MIMBackbone':
        """Frozen stages stay in eval mode."""
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        """Eval mode and no gradients for what `frozen_stages` names."""
        if self.frozen_stages < 0:
            return
        for part in self._frozen_parts():
            if isinstance(part, nn.Module):
                part.eval()
            if part is not None:
                part.requires_grad_(False)

    @abstractmethod
    def _frozen_parts(self) -> Iterator[nn.Module | Tensor | None]:
        """The embedding's parts, where it has them, and the first `frozen_stages` stages."""

    @abstractmethod
    def get_layer_depth(self, name: str, prefix: str = '') -> tuple[int, int]:
        """Depth of parameter `name` for layer decay: (depth, number of depths), 0 = the input."""

    def no_weight_decay(self) -> set[str]:
        """Names exempt from weight decay beside biases and 1-D tensors: tokens and positions."""
        return {
            name
            for name, _ in self.named_parameters()
            if name.rpartition('.')[2] in (*TOKENS, *POSITIONS)
        }

    def fresh_parameters(self) -> set[str]:
        """Names a checkpoint need not hold: they start fresh where it was trained without them."""
        fresh = ('mask_token', 'fc_norm.weight', 'fc_norm.bias')
        return {name for name, _ in self.named_parameters() if name in fresh}

    def _check_mask(self, mask: Tensor, image: Tensor) -> None:
        """Raises UserError unless `mask` (B, H, W) has a cell for every token or unit of `image`.

        Images are padded to whole cells elsewhere; a mask says nothing of what is padded.
        """
        count, grid = len(image), self._cells(image)
        if tuple(mask.shape) != (count, *grid):
            theirs, ours = ('x'.join(map(str, sides)) for sides in (mask.shape[1:], grid))
            raise UserError(
                f'{type(self).__name__}: {len(mask)} masks of {theirs} cells for {count} images of '
                f'{ours}, {self.mask_size} px each; the masker takes the img_size of its data set '
                'and the patch of its backbone'
            )

    def _check_keep(self, keep: Tensor, image: Tensor) -> None:
        """Raises UserError unless `keep` (B, V) can be places of cells of `image`."""
        rows, columns = self._cells(image)
        if keep.ndim != 2 or len(keep) != len(image) or keep.shape[1] > rows * columns:
            raise UserError(
                f'{type(self).__name__}: keep of shape {tuple(keep.shape)} for {len(image)} images '
                f'of {rows * columns} cells; it holds the places of some, (images, cells kept)'
            )

    def _check_mask_token(self) -> None:
        if self.mask_token is None:
            raise UserError(f'{type(self).__name__}: a mask needs a backbone with mask_token=True')

    def _cells(self, image: Tensor) -> tuple[int, int]:
        """Cells of a mask over `image`. Raises UserError when it is not made of whole ones."""
        height, width = image.shape[-2:]
        cell = self.mask_size
        if height % cell or width % cell:
            raise UserError(
                f'{type(self).__name__}: a mask for images of {height}x{width}, which are no '
                f'whole cells of {cell} px; take an img_size that is a multiple of {cell}'
            )
        return height // cell, width // cell

    def _run(self, block: nn.Module, x: Tensor, *context: Any) -> Tensor:
        return run_block(block, self.with_cp, x, *context)


def check_option(family: str, option: str, value: str, known: tuple[str, ...]) -> None:
    """Raises ValueError when `value` is not among the known values of an option."""
    if value not in known:
        raise ValueError(f'{family}: {option}={value!r}; known: {", ".join(known)}')


def grid_of(family: str, img_size: int | tuple[int, int], cell: int) -> tuple[int, int]:
    """Cells of `cell` pixels per side of an image.

    Raises:
        ValueError: img_size is not a multiple of `cell`.
    """
    height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
    if height % cell or width % cell:
        raise ValueError(f'{family}: img_size {height}x{width} is not a multiple of {cell}')
    return height // cell, width // cell
