"""Tiny parts of every kind: what the tests of this package build and train."""

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from PIL import Image
from torch import Tensor, nn

from pretrain.images.dataset import Needs, UnlabelledImages
from pretrain.registry import MODELS, build
from pretrain.tokenizers.dalle import encoder_blocks

ARCH = {'embed_dim': 32, 'depth': 2, 'num_heads': 2}
VIT = {
    'type': 'mim_backbones.MIMViT', 'arch': ARCH, 'img_size': 32, 'patch_size': 8,
    'mask_token': True,
}  # fmt: skip
SWIN = {
    'type': 'mim_backbones.MIMSwin', 'img_size': 64, 'window_size': 2, 'mask_token': True,
    'arch': {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': (1, 1, 2, 2)},
}  # fmt: skip
HIERA = {
    'type': 'mim_backbones.MIMHiera', 'img_size': 64, 'mask_token': True,
    'arch': {'embed_dim': 16, 'depths': (1, 1, 1, 1), 'num_heads': 1},
}  # fmt: skip
TEACHER = {
    'type': 'BackboneTeacher', 'random_weights': True,
    'backbone': {'type': 'mim_backbones.MIMViT', 'arch': {**ARCH, 'depth': 1}, 'patch_size': 8},
}  # fmt: skip
HIERA_TEACHER = {
    **TEACHER,
    'backbone': {**HIERA, 'q_pool': 2, 'arch': {**HIERA['arch'], 'depths': (1, 2, 1, 2)}},
}
SWIN_TEACHER = {
    **TEACHER,
    'backbone': {
        **SWIN,
        'arch': {**SWIN['arch'], 'depths': (1, 1, 2, 1), 'num_heads': (1, 1, 2, 4)},
    },
}
TOKENIZER = {
    'type': 'BEiTv2Tokenizer', 'random_weights': True, 'codes': 16, 'dim': 4, 'patch_size': 8,
    'arch': {**ARCH, 'depth': 1},
}  # fmt: skip
IDS = {'type': 'TokenTarget', 'tokenizer': TOKENIZER}
FEATURES = {'type': 'FeatureTarget', 'teacher': TEACHER}
RELATIONS = {'type': 'TokenRelationTarget', 'teacher': TEACHER}
MASKER = {'type': 'RandomPatchMasker', 'unit_px': None, 'ratio': 0.5}
VQVIT = {**VIT, 'mask_token': False, 'qkv_bias': 'qv', 'final_norm': False, 'fc_norm': True}
MAE_VIT = {**VIT, 'mask_token': False, 'pos_embed': 'sincos'}
MAE_DECODER = {'type': 'MAEDecoder', 'embed_dim': 16, 'depth': 1, 'num_heads': 2}
HIERA_DECODER = {**MAE_DECODER, 'pos_embed': 'learned'}
MOCO_VIT = {**VIT, 'mask_token': False, 'pos_embed': 'sincos-row-first'}
# A model for every registered method: a new one is tested the day it has a line here.
METHODS = {
    'SimMIM': {'type': 'SimMIM', 'backbone': VIT},
    'MAE': {'type': 'MAE', 'backbone': MAE_VIT, 'decoder': MAE_DECODER},
    'HieraMAE': {'type': 'HieraMAE', 'decoder': HIERA_DECODER,
                 'backbone': {**HIERA, 'mask_token': False, 'q_pool': 2}},
    'MILAN': {'type': 'MILAN', 'backbone': MAE_VIT,
              'decoder': {**MAE_DECODER, 'type': 'PromptingDecoder'},
              'target': {**FEATURES, 'importance': True}},
    'DMAE': {'type': 'DMAE', 'backbone': MAE_VIT, 'decoder': MAE_DECODER, 'teacher': TEACHER},
    'Data2Vec': {'type': 'Data2Vec', 'backbone': VIT,
                 'target': {'type': 'EMABlocks', 'blocks': 1}},
    'DBOT': {'type': 'DBOT', 'backbone': MAE_VIT, 'decoder': MAE_DECODER},
    'DHieraMAE': {'type': 'DHieraMAE', 'decoder': HIERA_DECODER, 'teacher': HIERA_TEACHER,
                  'backbone': {**HIERA, 'mask_token': False, 'q_pool': 2}},
    'DSimMIM': {'type': 'DSimMIM', 'teacher': SWIN_TEACHER, 'decode_from': 2,
                'backbone': {**SWIN, 'img_size': 128, 'output_norm': 'none'},  # even maps
                'distill': [{'target': {'type': 'RelationTarget'}, 'extra_block': True}]},
    'BEiT': {'type': 'BEiT', 'backbone': VIT, 'target': IDS},
    'BEiTv2': {'type': 'BEiTv2', 'backbone': VIT, 'target': IDS, 'early_layers': 1,
               'head_layers': 1},
    'VQKD': {'type': 'VQKD', 'backbone': VQVIT, 'target': FEATURES,
             'codebook': {'codes': 8, 'dim': 4}, 'decoder': {'arch': ARCH}},
    'TinyMIM': {'type': 'TinyMIM', 'target': RELATIONS,
                'backbone': {**MAE_VIT, 'arch': {**ARCH, 'depth': 4}}},
    'MoCoV3': {'type': 'MoCoV3', 'backbone': MOCO_VIT, 'hidden_dim': 16, 'out_dim': 8},
}  # fmt: skip
# Data sets of the methods that hide nothing.
UNMASKED = {'VQKD': {'type': 'UnlabelledImages'}, 'TinyMIM': {'type': 'UnlabelledImages'},
            'MILAN': {'type': 'UnlabelledImages'}, 'MoCoV3': {'type': 'TwoViews'}}  # fmt: skip


@MODELS.register_module(force=True)
class BrightnessTokenizer(nn.Module):
    """The mean of a cell of 4 x 4 pixels, in 16 steps."""

    codes, token_px, input_size = 16, 4, 16

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))
        self.drop = nn.Dropout(0.5)

    def encode(self, image: Tensor) -> Tensor:
        mean = self.drop(F.avg_pool2d(image.mean(1), 4)) * self.gain
        return (mean * self.codes).long().clamp(0, self.codes - 1)


def method(name: str, **changes):
    """A tiny model of a method."""
    return build(MODELS, {**METHODS[name], **changes})


def absent_ids(codes: int = 16) -> dict:
    """The target of a model that only predicts."""
    return {'type': 'AbsentTarget', 'kind': 'ids', 'width': codes}


def bound(dataset: UnlabelledImages, img_size: int = 32, mask_size: int = 8, **needs):
    """A data set as a model of such sizes binds it."""
    dataset.bind(Needs(img_size, mask_size, **needs))
    return dataset


def write_blobs(folder, count: int = 4, px: int = 40):
    """Pictures of soft blobs: neighbouring pixels tell about hidden ones."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = rng.integers(0, 255, (3, 3, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((px, px), Image.Resampling.BICUBIC)
        picture.save(folder / f'{i:03d}.png')
    return folder


def write_dalle(path, width: int = 4, codes: int = 16):
    """A file of DALL-E's encoder, narrow and random."""
    sizes = {
        'blocks.input.weight': torch.zeros(width, 3, 7, 7),
        'blocks.group_1.block_1': torch.zeros(1),
        'blocks.output.conv.weight': torch.zeros(codes, 8 * width, 1, 1),
    }
    state = encoder_blocks(sizes).state_dict()
    torch.save({f'blocks.{key}': value for key, value in state.items()}, path)
    return path


def recipe(model: dict, images, work_dir, epochs: int = 2, **dataset) -> Config:
    """A whole config around a model: batches of two, fp32, one process."""
    masked = {'type': 'UnlabelledImages', 'masker': MASKER}
    return Config({
        'default_scope': 'pretrain',
        'model': model,
        'work_dir': str(work_dir),
        'experiment_name': f'{work_dir.parent.name}_{work_dir.name}',
        'train_dataloader': {
            'batch_size': 2,
            'num_workers': 0,
            'sampler': {'type': 'SeededSampler', 'seed': 0},
            'collate_fn': {'type': 'default_collate'},
            'dataset': {**UNMASKED.get(model['type'], masked), 'root': str(images), **dataset},
        },
        'optim_wrapper': {'optimizer': {'type': 'AdamW', 'lr': 2e-3}},
        'train_cfg': {'by_epoch': True, 'max_epochs': epochs},
        'default_hooks': {
            'checkpoint': {'type': 'CheckpointHook', 'interval': 1},
            'logger': None,
        },
        'custom_hooks': [
            {'type': kind} for kind in ('BindData', 'SkippedImages', 'UpdateTarget', 'MethodRecord')
        ],
        'visualizer': {'type': 'Visualizer', 'name': f'{work_dir.parent.name}_{work_dir.name}'},
        'log_level': 'ERROR',
        'randomness': {'seed': 0},
    })  # fmt: skip
