"""BEiT: name the visual token of every hidden patch.

L = mean over hidden patches i of  -log p(z_i | masked image)        z = tokenizer(second view)
paper: arXiv 2106.08254, sections 2.1-2.4 and appendix
mask   blocks, about 40 %, maskers/blockwise.py        target  ids of a tokenizer, targets/tokens.py
head   one linear layer after the final norm           recipe  configs/pretrain/beit.py
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim_backbones.checkpoints.source import Content
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from pretrain.methods.base import Infer, MaskedImageModel
from pretrain.methods.start import draw_backbone, draw_linear
from pretrain.registry import MODELS
from pretrain.targets.base import Wanted, as_text

# Label of a patch that no loss asks for.
UNNAMED = -100


@MODELS.register_module()
class BEiT(MaskedImageModel):
    """All tokens go through the encoder, the hidden ones as a learned vector; no decoder.

    Args:
        backbone: config of a MIMViT with mask_token=True and a final norm.
        target: config of a target of ids, one for each patch: a `TokenTarget`.
        mean, std: see `Method`.

    Raises:
        ValueError: a target of another kind, or of another grid than the backbone.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        target: dict[str, Any],
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, target, mean, std, data_preprocessor)
        name, grid = type(self).__name__, self.backbone.grid
        if self.target.kind != 'ids' or self.target.grid != grid:
            raise ValueError(
                f'{name}: {type(self.target).__name__} gives {self.target.kind} on a '
                f'{as_text(self.target.grid)} grid; {name} names ids of {as_text(grid)} patches'
            )
        self.lm_head = nn.Linear(self.backbone.embed_dim, self.target.width)
        draw_backbone(self.backbone)
        draw_linear(self.lm_head)

    def loss(self, image: Tensor, mask: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        """A loss and an accuracy of each branch. No randomness but drop path."""
        places, labels = named_patches(mask, wanted.values)
        scores = self.scores(image, mask, places)
        result = {}
        for branch, logits in scores.items():
            # A single loss is called `loss`; the Runner sums whatever has `loss` in its name.
            name = f'loss_{branch}' if len(scores) > 1 else 'loss'
            result[name] = F.cross_entropy(logits.float(), labels, ignore_index=UNNAMED)
            hit = logits.detach().argmax(1) == labels
            result[f'accuracy_{branch}'] = hit.sum() / (labels != UNNAMED).sum()
        return result

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Logits (M, codes) of each branch at the M hidden patches of the batch, image by image."""
        return self.scores(image, mask, hidden_places(mask))

    def scores(self, image: Tensor, mask: Tensor, places: Tensor | slice) -> dict[str, Tensor]:
        """Logits of each branch at some places of the flattened batch."""
        return {
            branch: self.head_of(branch)(tokens.flatten(0, 1)[places])
            for branch, tokens in self.patch_tokens(image, mask).items()
        }

    def patch_tokens(self, image: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Normed patch tokens (B, N, D) of each branch; one here."""
        (tokens,) = self.backbone.block_tokens(self.normalise(image), (-1,), mask)
        return {'mim': self.backbone.norm(tokens[:, self.backbone.num_prefix :])}

    def head_of(self, branch: str) -> nn.Linear:
        return self.lm_head

    @classmethod
    def described(
        cls, content: Content, names: set[str], infer: Infer, options: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Source of the names: microsoft/unilm, beit; BEiT v2 has further heads beside."""
        if 'lm_head.weight' not in names or any(name.startswith('cls_pt_') for name in names):
            return None
        if square_head(content):  # data2vec's
            return None
        return released_config('BEiT', content, infer())

    @classmethod
    def own_names(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The released names are ours but for a block's own table; indices are no weights."""
        own = ('lm_head.', 'cls_pt_', 'target.')
        table, index = 'relative_position_bias_table', 'relative_position_index'
        return {
            k.replace(f'attn.{table}', f'rel_pos_bias.{table}'): v
            for k, v in state.items()
            if k.startswith(own) and not k.endswith(index)
        }


def released_config(kind: str, content: Content, backbone: dict[str, Any]) -> dict[str, Any]:
    """The model of a released checkpoint, its tokenizer known by its vocabulary alone."""
    (codes,) = (len(v) for k, v in content.tensors.items() if f'.{k}'.endswith('.lm_head.weight'))
    absent = {'type': 'AbsentTarget', 'kind': 'ids', 'width': codes}
    return {'type': kind, 'backbone': {**backbone, 'mask_token': True}, 'target': absent}


def hidden_places(mask: Tensor) -> Tensor:
    """mask (B, h, w) bool -> indices (M,) int64 of the hidden cells in the flattened batch.

    Waits for the device: to be asked before the blocks are queued.
    """
    return mask.flatten().nonzero().squeeze(1)


def named_patches(mask: Tensor, ids: Tensor) -> tuple[Tensor | slice, Tensor]:
    """Places in the flattened batch that a loss scores, and their labels.

    The hidden ones. In a graph of `torch.compile`, whose sizes cannot depend on how many are
    hidden, all of them, and the visible ones are `UNNAMED`: a few more products in the head.
    """
    if torch.compiler.is_compiling():
        return slice(None), torch.where(mask, ids, UNNAMED).flatten()
    places = hidden_places(mask)
    return places, ids.flatten()[places]


def square_head(content: Content) -> int | None:
    """Width of a head `lm_head` that gives as many values as it takes, as data2vec's does."""
    heads = (v for k, v in content.tensors.items() if f'.{k}'.endswith('.lm_head.weight'))
    shape = next(heads).shape
    return shape[0] if shape[0] == shape[1] else None
