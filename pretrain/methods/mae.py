"""MAE: encode what is visible, regress what is hidden.

L = 1 / |M| * sum over hidden patches i of mean((x_i - y_i)^2)        M: hidden patches
paper: arXiv 2111.06377, section 3; recipe of appendix A.1, released as facebookresearch/mae
mask   single patches, maskers/random_patch.py       target  normalised patches, targets/patches.py
decoder  a small ViT, decoders/mae.py               recipe  configs/pretrain/mae.py

What later works change is an entry of `model` each:

    target=dict(type='FeatureTarget', ...), loss='smooth_l1', beta=2.0            Img2Vec, dBOT
    decoder=dict(type='PromptingDecoder')                                         milan.py
    decode_from=[5, 7, 9, 11], decode_weights=[0.25] * 4                          DeepMIM
    whole_weight=0.1: + w (1 - cos) of what the CLS token says of the whole image
"""

from collections.abc import Sequence
from math import isclose
from typing import Any

import torch
from torch import Tensor, nn

from mim_backbones.backbones.layers.tokens import places_in_units, pool_tokens, split_places, take
from mim_backbones.backbones.position_tables import fit_positions
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content
from mim_backbones.errors import UserError
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from pretrain.losses import beside, cell_means, cosine, criterion
from pretrain.methods.base import Infer, MaskedImageModel
from pretrain.registry import MODELS, build
from pretrain.targets.base import Wanted, as_text, multiple, student_of

# Width of a released decoder -> its heads, which no shape shows: MAE's, and MAE-Lite's for
# ViT-Ti and ViT-S.
DECODER_HEADS = {512: 16, 96: 3, 192: 6}
# Blocks of a backbone -> the one that D2-MAE-Lite decodes from, which no shape shows either.
EARLY_BLOCKS = {12: 7}


@MODELS.register_module()
class MAE(MaskedImageModel):
    """Visible tokens alone go through the encoder; a decoder predicts the hidden patches.

    Args:
        backbone: config of a MIMViT, or of a MIMHiera whose last stage alone is decoded; a mask
            token is the decoder's affair.
        target: config of a target with a position for each token, or for squares of tokens, whose
            predictions are then averaged.
        decoder: config of the decoder; its in_dim, grid, out_dim and cls_token follow.
        loss: a name of `losses.ERRORS` that fits the target's kind.
        decode_from: block whose normed output is decoded, if not the last's; negative counts from
            the end. What lies behind it learns elsewhere (`DMAE`) or nothing. Several, in their
            order, have a decoder each and predict the same; only the last one's output is normed,
            and only its decoder serves predictions.
        mean, std: see `Method`.
        decode_weights: of the losses of these decoders; they sum to 1.
        selector: where the loss counts: 'masked', 'all' or 'visible'; with '+cls' behind, what the
            decoder says at the CLS token counts as one position more.
        beta: of 'smooth_l1'.
        shift, scale: of 'cosine', shift - scale * cos.
        whole_weight: of a further loss, 1 - cos of the target's vector of the whole image and a
            linear layer on the encoded CLS token (or the mean of the visible ones), 0 to 1.

    Raises:
        ValueError: a loss that does not fit the target, a target of another grid, a backbone that
            cannot leave tokens out, no such block, weights that are none, or no CLS token or
            vector of the whole image where one is asked for.
    """

    released_masker = {'type': 'RandomPatchMasker', 'unit_px': None, 'ratio': 0.75}

    def __init__(
        self,
        backbone: dict[str, Any],
        target: dict[str, Any] = {'type': 'PatchTarget'},  # noqa: B006  only read
        decoder: dict[str, Any] = {'type': 'MAEDecoder'},  # noqa: B006
        loss: str = 'l2',
        decode_from: int | Sequence[int] | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        data_preprocessor: dict[str, Any] | None = None,
        *,
        decode_weights: Sequence[float] = (1.0,),
        selector: str = 'masked',
        beta: float = 1.0,
        shift: float = 1.0,
        scale: float = 1.0,
        whole_weight: float = 0.0,
    ) -> None:
        super().__init__(backbone, target, mean, std, data_preprocessor)
        if self.backbone.mask_size % self.backbone.stride:
            raise ValueError(
                f'MAE: {backbone["type"]} cannot leave out what is hidden; take MIMViT or MIMHiera'
            )
        self.token_grid = student_of(self.backbone).grid
        who = f'MAE on {type(self.target).__name__}'
        if not multiple(self.token_grid, tuple(self.target.grid)):
            raise ValueError(
                f'MAE: {type(self.target).__name__} has a {as_text(self.target.grid)} grid, the '
                f'backbone {as_text(self.token_grid)} tokens; MAE predicts a position for each '
                'token, or for squares of them'
            )
        self.coarser = self.target.stride // self.backbone.stride
        self.criterion = criterion(who, self.target.kind, loss, selector, beta, shift, scale)
        num_cls = getattr(self.backbone, 'num_cls', 0)
        if self.criterion.with_cls and not (self.target.whole and num_cls):
            raise ValueError(
                f'{who}: selector={selector!r} needs a CLS token in the backbone and values of the '
                'whole image from the target'
            )
        blocks = tuple(decode_from) if isinstance(decode_from, Sequence) else (decode_from,)
        self.decode_weights = checked_weights(blocks, decode_weights, self.backbone.depth)
        *self.early_blocks, self.decode_from = blocks
        if self.early_blocks and not isinstance(self.backbone, MIMViT):
            raise ValueError(
                f'MAE: blocks of {backbone["type"]} differ in width and grid; decode one of them'
            )
        sizes = {
            'in_dim': self.backbone.last_dim, 'grid': self.token_grid,
            'out_dim': self.target.width, 'cls_token': bool(num_cls),
        }  # fmt: skip
        self.early_decoders = nn.ModuleList(
            build(MODELS, {**decoder, **sizes}) for _ in self.early_blocks
        )
        self.decoder = build(MODELS, {**decoder, **sizes})
        self.whole_weight, self.whole_head = whole_weight, None
        if whole_weight:
            if not (0 < whole_weight <= 1 and self.target.whole):
                raise ValueError(
                    f'{who}: whole_weight={whole_weight} wants values of the whole image from the '
                    'target, and lies between 0 and 1'
                )
            self.whole_head = nn.Linear(self.backbone.last_dim, self.target.width)

    def loss(self, image: Tensor, mask: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        visible, keep, hidden = self.split(mask)
        inputs = self.backbone.block_inputs(self.normalise(image), self.decoded, keep=visible)
        return self.decoded_losses(self.latents(inputs), keep, hidden, wanted)

    def decoded_losses(
        self, latents: Sequence[Tensor], keep: Tensor, hidden: Tensor, wanted: Wanted
    ) -> dict[str, Tensor]:
        """'loss' of what the decoders make of encoded tokens, one after the other, the last being
        `decoder`; and 'loss_whole' where the whole image counts.
        """
        decoders = [*self.early_decoders, self.decoder]
        parts = zip(self.decode_weights, latents, decoders, strict=True)
        losses = {
            'loss': sum(w * self.reconstruction(x, keep, hidden, wanted, d) for w, x, d in parts)
        }
        if self.whole_head is not None:
            num_cls = getattr(self.backbone, 'num_cls', 0)
            seen = pool_tokens(latents[-1], num_cls, 'cls' if num_cls else 'mean')
            error = cosine(self.whole_head(seen), wanted.whole).mean()
            losses['loss_whole'] = self.whole_weight * error
        return losses

    def reconstruction(
        self,
        latent: Tensor,
        keep: Tensor,
        hidden: Tensor,
        wanted: Wanted,
        decoder: nn.Module,
    ) -> Tensor:
        """Scalar loss of what a decoder makes of encoded tokens (B, cls + V, C)."""
        with_cls, values = self.criterion.with_cls, wanted.values
        only_hidden = self.criterion.selector == 'masked' and self.coarser == 1
        decode = decoder if only_hidden else decoder.everywhere
        said = decode(latent, keep, hidden, with_cls).transpose(1, 2)  # (B, C, positions)
        if only_hidden:
            values = at_places(values, hidden)
            values = beside(values, wanted.whole) if with_cls else values
            return self.criterion.error(said, values).mean()
        pred = self.as_maps(said[..., with_cls:])
        marks = said.new_zeros(len(said), keep.shape[1] + hidden.shape[1], dtype=torch.float32)
        share = self.as_maps(marks.scatter(1, hidden, 1.0)[:, None])
        if with_cls:
            pred, values = beside(pred, said[..., 0]), beside(values, wanted.whole)
        return self.criterion(pred, values, share)

    def as_maps(self, said: Tensor) -> Tensor:
        """(B, C, N) of all tokens, in raster order -> (B, C, h, w) on the target's grid."""
        return cell_means(said.unflatten(2, self.token_grid), self.coarser)

    def predict(self, image: Tensor, mask: Tensor | None) -> Tensor:
        """What the last decoder says (B, C, h, w); the loss has trained what `selector` names.

        Raises:
            UserError: no mask, or images that hide different numbers of patches.
        """
        if mask is None:
            raise UserError('MAE predicts from a masked image only: give a mask')
        said = self.decoder.everywhere(*self.encoded(image, mask))
        return self.as_maps(said.transpose(1, 2))

    def encoded(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encoded tokens (B, cls + V, C), the places of these V and those of the M hidden ones.

        image: (B, 3, H, W) in [0, 1]; mask: (B, H/m, W/m) bool, a cell over one or more tokens.

        Raises:
            UserError: images that hide different numbers of cells.
        """
        visible, keep, hidden = self.split(mask)
        inputs = self.backbone.block_inputs(self.normalise(image), self.decoded, keep=visible)
        return self.latents(inputs)[-1], keep, hidden

    def split(self, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Places of the visible cells, of the V tokens in them, and of the M hidden tokens."""
        cells = split_places(mask)
        side = self.backbone.mask_size // self.backbone.stride
        keep, hidden = (places_in_units(each, self.token_grid, side) for each in cells)
        return cells[0], keep, hidden

    @property
    def decoded(self) -> list[int]:
        """Places of the token stream that are decoded, see `block_inputs` of the backbone."""
        depth = self.backbone.depth
        last = depth if self.decode_from is None else self.decode_from % depth + 1
        return [*(block % depth + 1 for block in self.early_blocks), last]

    def latents(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Encoded tokens (B, cls + V, C) of what stands at the places `decoded`."""
        *early, last = inputs
        # Units of a Hiera, which has no norm.
        last = last.flatten(1, 3) if last.ndim == 5 else self.backbone.norm(last)
        return [*early, last]

    def fit_state(self, own: dict[str, Tensor]) -> dict[str, Tensor]:
        """The decoders' positions go to another grid as those of the encoder."""
        fitted = dict(own)
        for name, decoder in self.named_modules():
            table = own.get(f'{name}.pos_embed')
            ours = getattr(decoder, 'pos_embed', None)
            if table is None or table.shape == ours.shape or table.shape[::2] != ours.shape[::2]:
                continue
            fitted[f'{name}.pos_embed'] = fit_positions(table, self.token_grid, decoder.num_cls)
        return fitted

    @classmethod
    def described(
        cls, content: Content, names: set[str], infer: Infer, options: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Source of the names: facebookresearch/mae, the files with a decoder; wangsr126/MAE-Lite,
        where a block without an MLP says that an earlier one is decoded from (D2-MAE-Lite).
        """
        if not {'decoder_embed.weight', 'decoder_pred.weight'} <= names:
            return None
        if names & {'encoder_norm.weight', 'decoder_blocks.0.attn.kv.weight'}:  # Hiera's, MILAN's
            return None
        decoder = released_decoder(content, names, options)
        norm_pix = options.get('norm_pix', content.said.get('norm_pix_loss'))
        if norm_pix is None:
            raise CheckpointError(
                f'checkpoint {content.name} does not say whether its target is normalised by '
                'patches; give --norm-pix (the released recipe, "full" files) or --no-norm-pix '
                '("visualize" files)'
            )
        blocks = {n.split('.')[1] for n in names if n.startswith('blocks.')}
        whole = {block for block in blocks if f'blocks.{block}.mlp.fc2.weight' in names}
        return {
            'type': 'MAE',
            'backbone': infer(),
            'decode_from': None if whole == blocks else early_block(content, len(whole), options),
            'target': {'type': 'PatchTarget', 'norm_pix': bool(norm_pix)},
            'decoder': decoder,
        }

    @classmethod
    def own_names(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Source: facebookresearch/mae, models_mae.py."""
        found = {}
        for name, value in state.items():
            if name.startswith('decoder_'):
                name = f'decoder.{name.removeprefix("decoder_")}'
            elif name == 'mask_token':
                name = 'decoder.mask_token'
            if name.startswith(('decoder.', 'early_decoders.', 'whole_head.', 'target.')):
                found[name] = value
        return found


def at_places(values: Tensor, places: Tensor) -> Tensor:
    """values (B, C, h, w), or ids (B, h, w); places (B, M) raster -> (B, C, M), or (B, M)."""
    if values.dim() == 3:
        return values.flatten(1).gather(1, places)
    return take(values.flatten(2).transpose(1, 2), places).transpose(1, 2)


def checked_weights(
    blocks: Sequence[int | None], weights: Sequence[float], depth: int
) -> tuple[float, ...]:
    """Raises ValueError for blocks that are not there, or weights that are not theirs."""
    for block in blocks:
        if block is not None and not -depth <= block < depth:
            raise ValueError(f'MAE: decode_from={block} of {depth} blocks')
    places = [depth if block is None else block % depth for block in blocks]
    if places != sorted(set(places)):
        raise ValueError(f'MAE: decode_from={list(blocks)} has to rise from block to block')
    if len(weights) != len(blocks) or min(weights) < 0 or not isclose(sum(weights), 1):
        raise ValueError(
            f'MAE: decode_weights={list(weights)} for {len(blocks)} decoded blocks; give a weight '
            'for each, and a sum of 1'
        )
    return tuple(weights)


def released_decoder(content: Content, names: set[str], options: dict[str, Any]) -> dict[str, Any]:
    """Config of the decoder whose weights a released file has.

    Raises:
        CheckpointError: nothing tells its heads.
    """
    width, hidden = (
        next((len(v) for k, v in content.tensors.items() if k.endswith(f'decoder_{part}')), 0)
        for part in ('embed.weight', 'blocks.0.mlp.fc1.weight')
    )
    heads = options.get('decoder_heads') or DECODER_HEADS.get(width)
    if heads is None:
        raise CheckpointError(
            f'checkpoint {content.name} does not say heads of a decoder of width {width}; give '
            '--decoder-heads'
        )
    depth = len({name.split('.')[1] for name in names if name.startswith('decoder_blocks.')})
    return {
        'type': 'MAEDecoder', 'embed_dim': width, 'depth': depth, 'num_heads': heads,
        'mlp_ratio': hidden / width or 4.0,
    }  # fmt: skip


def early_block(content: Content, depth: int, options: dict[str, Any]) -> int:
    """Raises CheckpointError where no size of that depth is published."""
    found = options.get('decode_from', EARLY_BLOCKS.get(depth))
    if found is None:
        raise CheckpointError(
            f'checkpoint {content.name} does not say which of its {depth} blocks is decoded; give '
            '--decode-from'
        )
    return found
