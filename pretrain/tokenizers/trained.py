"""Trained tokenizers from their files, whichever kind a file holds; BEiT v2's for its recipes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.nn as nn

from mim_backbones.backbones.archs import ViTSize
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Source, open_source
from mim_backbones.errors import UserError
from pretrain.methods.load import load_method
from pretrain.registry import MODELS
from pretrain.teachers.weights import drawn_alike
from pretrain.tokenizers.dalle import DalleTokenizer
from pretrain.tokenizers.vqkd import VQKDTokenizer


def load_tokenizer(
    checkpoint: Source | Path, backbone: Mapping[str, Any] | None = None
) -> VQKDTokenizer:
    """A frozen VQ-KD tokenizer with the architecture its file records, or its shapes show.

    Args:
        checkpoint: a file, or a state dict; one of ours or in the published names.
        backbone: constructor arguments of the encoder that neither record nor shape tells.

    Raises:
        CheckpointError: unreadable, no VQ-KD tokenizer, or weights missing.
    """
    content = open_source(checkpoint)
    if not any('quantize.' in key for key in content.tensors):
        shown = ', '.join(list(content.tensors)[:4])
        raise CheckpointError(
            f'checkpoint {content.name} holds no VQ-KD tokenizer (no codebook among its '
            f'{len(content.tensors)} tensors: {shown}, ...)'
        )
    model, _, missing = load_method(content, backbone=backbone)
    if missing:
        raise CheckpointError(
            f'checkpoint {content.name} is no whole VQ-KD tokenizer: it lacks {missing[0]} and '
            f'{len(missing) - 1} more'
        )
    return model.freeze()


def open_tokenizer(path: Path, backbone: Mapping[str, Any] | None = None) -> nn.Module:
    """A VQ-KD tokenizer, or DALL-E's encoder, whichever the file holds.

    Raises:
        CheckpointError: neither.
    """
    if path.suffix == '.pkl':
        return DalleTokenizer(str(path))
    content = open_source(path)
    if any('blocks.output.conv.' in key for key in content.tensors):
        return DalleTokenizer(str(path))
    return load_tokenizer(content, backbone)


@MODELS.register_module(name='BEiTv2Tokenizer')
def beitv2_tokenizer(
    checkpoint: str | None = None,
    random_weights: bool = False,
    arch: str | ViTSize = 'base',
    patch_size: int = 16,
    codes: int = 8192,
    dim: int = 32,
) -> VQKDTokenizer:
    """A frozen VQ-KD tokenizer.

    Args:
        checkpoint: file of a tokenizer, ours or the released one.
        random_weights: in its place, an untrained tokenizer of the sizes that follow; the same
            in every process. It shows whether a training runs and teaches nothing.
        arch, patch_size: of the untrained encoder.
        codes, dim: of its codebook.

    Raises:
        UserError: no file and no random weights.
        CheckpointError: the file holds no VQ-KD tokenizer.
    """
    if not random_weights:
        if checkpoint is None or not Path(checkpoint).is_file():
            missing = 'none is named' if checkpoint is None else f'{checkpoint} does not exist'
            raise UserError(
                f'BEiT v2 needs a VQ-KD tokenizer, and {missing}; train one with '
                'configs/pretrain/vqkd.py or take the released '
                'vqkd_encoder_base_decoder_3x768x12_clip, and set '
                'model.target.tokenizer.checkpoint=FILE; '
                'model.target.tokenizer.random_weights=True only tries things out'
            )
        return load_tokenizer(checkpoint)
    backbone = {
        'type': 'mim_backbones.MIMViT', 'arch': arch, 'patch_size': patch_size,
        'img_size': 14 * patch_size, 'qkv_bias': 'qv', 'final_norm': False, 'fc_norm': True,
    }  # fmt: skip
    tokenizer = drawn_alike(lambda: VQKDTokenizer(backbone, {'codes': codes, 'dim': dim}))
    tokenizer.quantize.started.fill_(True)
    return tokenizer.freeze()
