"""Two files -> how well the model of one names the tokens of the other."""

from pathlib import Path
from typing import Any

import torch.nn as nn

from mim_backbones.checkpoints.source import open_source
from mim_backbones.errors import UserError
from pretrain.inspect.reconstruction import choose_images
from pretrain.inspect.token_accuracy import TokenAccuracy, token_accuracy
from pretrain.maskers.blockwise import BlockwiseMasker
from pretrain.methods.beit_checkpoint import load_beit
from pretrain.registry import TRANSFORMS, build
from pretrain.targets.frozen import FrozenTokenizer
from pretrain.tokenizers.dalle import DalleTokenizer
from pretrain.tokenizers.trained import load_tokenizer

# BEiT v2 hides 75 of 196 patches.
PUBLISHED_RATIO = 75 / 196


def measure_pair(
    checkpoint: Path,
    tokenizer: Path,
    images: Path,
    count: int = 64,
    seed: int = 0,
    token_size: int | None = None,
    early_layers: int | None = None,
) -> TokenAccuracy:
    """Opens both files and measures on up to `count` images.

    Args:
        token_size: side of the tokenizer's view in pixels; the tokenizer's own if None.
        early_layers: see `load_beit`.

    Raises:
        UserError: a file that is not what it should be, no images, or a pair whose vocabulary or
            grid differ.
    """
    if count < 1:
        raise UserError(f'--count {count}: give at least one image')
    model, record = load_beit(checkpoint, early_layers)
    frozen = FrozenTokenizer(open_tokenizer(tokenizer))
    size = token_size or frozen.net.input_size
    vit = model.backbone
    own_size = (vit.grid[0] * vit.patch_size, vit.grid[1] * vit.patch_size)
    if own_size[0] != own_size[1]:
        raise UserError(f'checkpoint {checkpoint} is made for {own_size} px; only squares here')
    if record.get('masker'):
        masker: Any = build(TRANSFORMS, record['masker'])
    else:
        masker = BlockwiseMasker(own_size[0], vit.patch_size, ratio=PUBLISHED_RATIO)
    files = choose_images(images, count)
    return token_accuracy(model, frozen, files, masker, (own_size[0], size), seed)


def open_tokenizer(path: Path) -> nn.Module:
    """A VQ-KD tokenizer, or DALL-E's encoder, whichever the file holds.

    Raises:
        CheckpointError: neither.
    """
    if path.suffix == '.pkl':
        return DalleTokenizer(str(path))
    content = open_source(path)
    if any('blocks.output.conv.' in key for key in content.tensors):
        return DalleTokenizer(str(path))
    return load_tokenizer(content)
