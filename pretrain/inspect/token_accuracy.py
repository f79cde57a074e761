"""How well a model names the hidden tokens of a tokenizer: do the two belong together?

A model that learnt other ids than the tokenizer's guesses no better than one that always says the
commonest id; released pairs that do not match were found only by a poor fine-tuning
(microsoft/unilm, issue 885).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mim_backbones.errors import UserError
from pretrain.images.dataset import load_image
from pretrain.methods.beit import BEiT, grid_text, same_tokenizer
from pretrain.targets.frozen import FrozenTokenizer

# Above the commonest id by this factor and by this many standard errors, a model knows the ids.
FACTOR, ERRORS = 1.2, 4.0


@dataclass(frozen=True)
class TokenAccuracy:
    """Shares of hidden patches named rightly, and what knows nothing of them.

    Attributes:
        accuracy: of each branch, 'mim' and perhaps 'cls'.
        chance: one over the size of the vocabulary.
        majority: of always naming the id that is commonest among these patches.
        patches, images: how many were looked at.
        used: distinct ids among the patches.
        same_tokenizer: whether the checkpoint's training says it was this tokenizer; None when
            it does not say.
    """

    accuracy: dict[str, float]
    chance: float
    majority: float
    patches: int
    images: int
    used: int
    same_tokenizer: bool | None

    @property
    def belongs(self) -> bool:
        """Whether model and tokenizer may be a pair."""
        if self.same_tokenizer is not None:
            return self.same_tokenizer
        best = max(self.accuracy.values())
        error = (self.majority * (1 - self.majority) / self.patches) ** 0.5
        return best > FACTOR * self.majority and best > self.majority + ERRORS * error

    def verdict(self) -> str:
        """One sentence for people."""
        if self.same_tokenizer is False:
            return 'no pair: the checkpoint was trained on the ids of another tokenizer'
        knows = f'{max(self.accuracy.values()):.2%} against {self.majority:.2%} of the commonest id'
        if self.same_tokenizer:
            return f'a pair: the checkpoint was trained with this tokenizer; {knows}'
        if self.belongs:
            return f'a pair, by its accuracy: {knows}'
        return f'no pair, or hardly trained: {knows}; the file does not say which tokenizer it had'


@torch.inference_mode()
def token_accuracy(
    model: BEiT,
    tokenizer: FrozenTokenizer,
    files: list[str],
    masker: Any,
    sizes: tuple[int, int],
    seed: int = 0,
    batch_size: int = 16,
) -> TokenAccuracy:
    """Centre crops of images, masked once each.

    Args:
        masker: on the backbone's patch grid.
        sizes: sides in pixels of the model's and of the tokenizer's view.

    Raises:
        UserError: the tokenizer has another vocabulary or another grid than the model, or an
            image cannot be decoded.
    """
    codes = model.lm_head.out_features
    if tokenizer.codes != codes:
        raise UserError(
            f'no pair: the checkpoint predicts {codes} codes, the tokenizer has {tokenizer.codes}'
        )
    rng = np.random.default_rng(seed)
    right: dict[str, int] = {}
    counts = torch.zeros(codes, dtype=torch.int64)
    for start in range(0, len(files), batch_size):
        chosen = files[start : start + batch_size]
        mask = torch.from_numpy(np.stack([masker(rng) for _ in chosen]))
        views = [
            torch.stack([load_image(path, size, 'bicubic') for path in chosen]) for size in sizes
        ]
        ids = tokenizer(views[1].float() / 255)
        if ids.shape != mask.shape:
            raise UserError(
                f'no pair: the tokenizer gives a {grid_text(ids)} grid of ids at {sizes[1]} px, '
                f'the model has {grid_text(mask)} patches at {sizes[0]} px'
            )
        image = model.data_preprocessor.normalise(views[0])
        labels = ids[mask]
        counts += labels.bincount(minlength=codes)
        for branch, logits in model.predict(image, mask).items():
            right[branch] = right.get(branch, 0) + int((logits.argmax(1) == labels).sum())
    patches = int(counts.sum())
    return TokenAccuracy(
        accuracy={branch: hits / patches for branch, hits in right.items()},
        chance=1 / codes,
        majority=int(counts.max()) / patches,
        patches=patches,
        images=len(files),
        used=int((counts > 0).sum()),
        same_tokenizer=recorded_pair(model.tokenizer_digest, tokenizer),
    )


def recorded_pair(digest: Tensor, tokenizer: FrozenTokenizer) -> bool | None:
    """Whether a checkpoint's digest is the tokenizer's; None when it has none."""
    return same_tokenizer(digest, tokenizer.fingerprint()) if digest.any() else None
