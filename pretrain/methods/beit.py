"""BEiT: name the visual token of every hidden patch.

L = mean over hidden patches i of  -log p(z_i | masked image)        z = tokenizer(second view)
paper: arXiv 2106.08254, sections 2.1-2.4 and appendix
mask   blocks, about 40 %, maskers/blockwise.py        target  ids of a frozen tokenizer
head   one linear layer after the final norm           recipe  configs/pretrain/beit.py
"""

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS as BACKBONES
from pretrain.methods.start import draw_backbone, draw_linear
from pretrain.registry import MODELS, build
from pretrain.targets.frozen import FrozenTokenizer


@MODELS.register_module()
class BEiT(BaseModel):
    """All tokens go through the encoder, the hidden ones as a learned vector; no decoder.

    The tokenizer is neither trained nor saved; `tokenizer_digest` in the state dict remembers
    which one it was, and another one is refused on resuming.

    Args:
        backbone: config of a MIMViT with mask_token=True and a final norm.
        target: config of a tokenizer; None for a model that gets `token_ids` or only predicts.
        codes: vocabulary of the tokenizer.
        tokenizer_precision: see `FrozenTokenizer`.

    Raises:
        ValueError: the tokenizer has another vocabulary or another grid than the backbone.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        target: dict[str, Any] | None = None,
        codes: int = 8192,
        tokenizer_precision: str = 'fp32',
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'pretrain.TwoViewPreprocessor'}
        super().__init__(build(MODELS, preprocessor))
        self.backbone = BACKBONES.build(backbone)
        self.lm_head = nn.Linear(self.backbone.embed_dim, codes)
        draw_backbone(self.backbone)
        draw_linear(self.lm_head)
        self.register_buffer('tokenizer_digest', torch.zeros(32, dtype=torch.uint8))
        self.target: FrozenTokenizer | None = None
        if target is not None:
            self.target = FrozenTokenizer(build(MODELS, target), tokenizer_precision)
            check_pair(self.target, codes, self.backbone.grid)
            self.tokenizer_digest = self.target.fingerprint()

    def forward(
        self,
        image: Tensor,
        mask: Tensor,
        token_image: Tensor | None = None,
        token_ids: Tensor | None = None,
        mode: str = 'tensor',
    ) -> dict[str, Tensor]:
        """mode 'loss': losses and accuracies; else `predict`.

        Args:
            image: (B, 3, H, W) normalised, the student's view.
            mask: (B, H/p, W/p) bool, True = hidden.
            token_image: (B, 3, H', W') in [0, 1], the tokenizer's view of the same crop.
            token_ids: in its place, (B, H/p, W/p) int64 ids that are known already.

        Raises:
            UserError: the ids have another grid than the mask.
        """
        if mode != 'loss':
            return self.predict(image, mask)
        if token_ids is None:
            assert self.target is not None, 'neither token ids nor a tokenizer'
            token_ids = self.target(token_image)
        if token_ids.shape[1:] != mask.shape[1:]:
            raise UserError(
                f'the tokenizer gives a {grid_text(token_ids)} grid of ids for the second view, '
                f'the student has {grid_text(mask)} patches; change token_size of the dataset'
            )
        return self.loss(image, mask, token_ids)

    def loss(self, image: Tensor, mask: Tensor, ids: Tensor) -> dict[str, Tensor]:
        """ids (B, H/p, W/p) int64, what every patch is. No randomness but drop path."""
        labels = ids.flatten()[hidden_places(mask)]
        scores = self.predict(image, mask)
        result = {}
        for branch, logits in scores.items():
            # A single loss is called `loss`; the Runner sums whatever has `loss` in its name.
            name = f'loss_{branch}' if len(scores) > 1 else 'loss'
            result[name] = F.cross_entropy(logits.float(), labels)
            hit = logits.detach().argmax(1) == labels
            result[f'accuracy_{branch}'] = hit.float().mean()
        return result

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Logits (M, codes) of each branch at the M hidden patches of the batch, image by image."""
        places = hidden_places(mask)  # before the blocks are queued: it waits for the device
        return {
            branch: self.head_of(branch)(tokens.flatten(0, 1)[places])
            for branch, tokens in self.patch_tokens(image, mask).items()
        }

    def patch_tokens(self, image: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Normed patch tokens (B, N, D) of each branch; one here."""
        (tokens,) = self.backbone.block_tokens(image, (-1,), mask)
        return {'mim': self.backbone.norm(tokens[:, self.backbone.num_prefix :])}

    def head_of(self, branch: str) -> nn.Linear:
        return self.lm_head

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        digest = state_dict.get(f'{prefix}tokenizer_digest')
        if self.target is not None and not same_tokenizer(digest, self.tokenizer_digest):
            raise UserError(
                'the checkpoint was trained on the ids of another tokenizer than model.target '
                'loads; give that tokenizer, or start anew without --resume'
            )
        super()._load_from_state_dict(state_dict, prefix, *args)


def hidden_places(mask: Tensor) -> Tensor:
    """mask (B, h, w) bool -> indices (M,) int64 of the hidden cells in the flattened batch."""
    return mask.flatten().nonzero().squeeze(1)


def check_pair(target: FrozenTokenizer, codes: int, grid: tuple[int, int]) -> None:
    """Raises ValueError when a tokenizer cannot label the patches of a grid."""
    if target.codes != codes:
        raise ValueError(
            f'the tokenizer has {target.codes} codes, the head predicts {codes}; '
            f'set codes={target.codes}'
        )
    size = target.net.input_size
    if size is None:
        return
    ids = target(torch.zeros(1, 3, size, size))
    if tuple(ids.shape[1:]) != grid:
        raise ValueError(
            f'the tokenizer gives a {grid_text(ids)} grid of ids for its {size} px, the backbone '
            f'has {grid[0]}x{grid[1]} patches; change img_size or patch_size of the backbone'
        )


def same_tokenizer(one: Tensor | None, other: Tensor) -> bool:
    """Whether two digests may be of one tokenizer; an unknown one (None, zeros) may be any."""
    return one is None or not one.any() or not other.any() or torch.equal(one.cpu(), other.cpu())


def grid_text(x: Tensor) -> str:
    return f'{x.shape[-2]}x{x.shape[-1]}'
