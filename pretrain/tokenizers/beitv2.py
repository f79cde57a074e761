"""The tokenizer of a BEiT v2 recipe: a trained file, or random weights when that is asked for."""

from pathlib import Path

from mim_backbones.backbones.archs import ViTSize
from mim_backbones.errors import UserError
from pretrain.registry import MODELS
from pretrain.teachers.weights import drawn_alike
from pretrain.tokenizers.trained import load_tokenizer
from pretrain.tokenizers.vqkd import VQKDTokenizer


@MODELS.register_module(name='BEiTv2Tokenizer')
def beitv2_tokenizer(
    checkpoint: str | None = None,
    random_weights: bool = False,
    arch: str | ViTSize = 'base',
    img_size: int = 224,
    patch_size: int = 16,
    codes: int = 8192,
    dim: int = 32,
) -> VQKDTokenizer:
    """A frozen VQ-KD tokenizer.

    Args:
        checkpoint: file of a tokenizer, ours or the released one.
        random_weights: in its place, an untrained tokenizer of the sizes that follow; the same
            in every process. It shows whether a training runs and teaches nothing.
        arch, img_size, patch_size: of the untrained encoder.
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
                'vqkd_encoder_base_decoder_3x768x12_clip, and set model.target.checkpoint=FILE; '
                'model.target.random_weights=True only tries things out'
            )
        return load_tokenizer(checkpoint)
    backbone = {
        'type': 'mim_backbones.MIMViT', 'arch': arch, 'img_size': img_size,
        'patch_size': patch_size, 'qkv_bias': 'qv', 'final_norm': False, 'fc_norm': True,
    }  # fmt: skip
    tokenizer = drawn_alike(lambda: VQKDTokenizer(backbone, {'codes': codes, 'dim': dim}))
    tokenizer.quantize.started.fill_(True)
    return tokenizer.freeze()
