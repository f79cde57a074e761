"""How well a model names the hidden tokens of a tokenizer: do the two belong together?

A model that learnt other ids than the tokenizer's guesses no better than one that always says the
commonest id; released pairs that do not match were found only by a poor fine-tuning
(microsoft/unilm, issue 885).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mim_backbones.errors import UserError
from pretrain.images.decode import choose_images, load_readable, unreadable
from pretrain.images.preprocessor import to_unit
from pretrain.maskers.choice import build_masker
from pretrain.methods.base import MaskedImageModel
from pretrain.methods.load import load_method
from pretrain.targets.base import as_text, same_nets
from pretrain.targets.frozen import Frozen
from pretrain.tokenizers.trained import open_tokenizer

# Above the commonest id by this factor and by this many standard errors, a model knows the ids.
FACTOR, ERRORS = 1.2, 4.0
# Hidden where the file says of no masker: BEiT v2's 75 of 196 patches.
PUBLISHED = {'type': 'BlockwiseMasker', 'ratio': 75 / 196}


@dataclass(frozen=True)
class TokenAccuracy:
    """Shares of hidden patches named rightly, and what knows nothing of them.

    Attributes:
        accuracy: of each branch, 'mim' and perhaps 'cls'.
        chance: one over the size of the vocabulary.
        majority: of always naming the id that is commonest among these patches.
        patches, images: how many were looked at.
        skipped: files that cannot be decoded.
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
    skipped: tuple[str, ...] = ()

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
    model: MaskedImageModel,
    tokenizer: torch.nn.Module,
    files: list[str],
    masker: Any,
    token_size: int,
    seed: int = 0,
    batch_size: int = 16,
) -> TokenAccuracy:
    """Centre crops of images, masked once each.

    Args:
        masker: on the backbone's patch grid.
        token_size: side in pixels of the tokenizer's view.

    Raises:
        UserError: the tokenizer has another vocabulary or another grid than the model, or no
            image can be decoded.
    """
    codes, frozen = model.target.width, Frozen(tokenizer)
    if tokenizer.codes != codes:
        raise UserError(
            f'no pair: the checkpoint predicts {codes} codes, the tokenizer has {tokenizer.codes}'
        )
    rng = np.random.default_rng(seed)
    right: dict[str, int] = {}
    read: set[str] = set()
    counts = torch.zeros(codes, dtype=torch.int64)
    for start in range(0, len(files), batch_size):
        chosen = files[start : start + batch_size]
        views = [load_readable(chosen, size, 'bicubic') for size in (model.img_size, token_size)]
        masks = {path: masker(rng) for path in chosen}
        chosen = [path for path in chosen if all(path in view for view in views)]
        if not chosen:
            continue
        read |= {*chosen}
        mask = torch.from_numpy(np.stack([masks[path] for path in chosen]))
        own, theirs = (to_unit(torch.stack([view[path] for path in chosen])) for view in views)
        with frozen.asked(theirs) as net:
            ids = net.encode(theirs)
        if ids.shape != mask.shape:
            raise UserError(
                f'no pair: the tokenizer gives a {as_text(ids.shape[1:])} grid of ids at '
                f'{token_size} px, the model has {as_text(mask.shape[1:])} patches at '
                f'{model.img_size} px'
            )
        labels = ids[mask]
        counts += labels.bincount(minlength=codes)
        for branch, logits in model.predict(own, mask).items():
            right[branch] = right.get(branch, 0) + int((logits.argmax(1) == labels).sum())
    skipped = unreadable(files, read)
    patches, digest = int(counts.sum()), model.target.fingerprint
    return TokenAccuracy(
        accuracy={branch: hits / patches for branch, hits in right.items()},
        chance=1 / codes,
        majority=int(counts.max()) / patches,
        patches=patches,
        images=len(read),
        skipped=tuple(skipped),
        used=int((counts > 0).sum()),
        same_tokenizer=same_nets(digest, frozen.fingerprint()) if digest.any() else None,
    )


def measure_pair(
    checkpoint: Path,
    tokenizer: Path,
    images: Path,
    count: int = 64,
    seed: int = 0,
    token_size: int | None = None,
    options: Mapping[str, Any] | None = None,
    backbone: Mapping[str, Any] | None = None,
) -> TokenAccuracy:
    """Opens both files and measures on up to `count` images.

    Args:
        token_size: side of the tokenizer's view in pixels; the tokenizer's own if None.
        options, backbone: see `load_method`.

    Raises:
        UserError: a file that is not what it should be, no images, or a pair whose vocabulary or
            grid differ.
    """
    if count < 1:
        raise UserError(f'--count {count}: give at least one image')
    model, record, missing = load_method(checkpoint, backbone=backbone, options=options)
    if not isinstance(model, MaskedImageModel) or model.target.kind != 'ids':
        raise UserError(
            f'checkpoint {checkpoint} predicts no tokens; '
            'give the checkpoint of BEiT or BEiT v2 pre-training itself'
        )
    if missing:
        raise UserError(f'checkpoint {checkpoint} lacks {missing[0]} among its prediction heads')
    net = open_tokenizer(tokenizer)
    sizes = {'img_size': model.img_size, 'patch_size': model.backbone.mask_size}
    masker = build_masker({**record.get('masker', PUBLISHED), **sizes})
    size = token_size or net.input_size
    return token_accuracy(model, net, choose_images(images, count), masker, size, seed)
