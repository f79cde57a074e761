"""Every released ViT dialect: names and shapes of base size cover the whole backbone."""

import re
from argparse import Namespace
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mim_backbones.checkpoints.load import backbone_config, from_checkpoint
from mim_backbones.checkpoints.safe.weights_file import CheckpointError

Shapes = dict[str, tuple[int, ...]]


def tensors(shapes: Shapes) -> dict[str, Tensor]:
    """One random number a tensor, repeated without copies."""
    return {key: torch.rand(1).expand(shape) for key, shape in shapes.items()}


def both(name: str, out: int, *axes: int) -> Shapes:
    return {f'{name}.weight': (out, *axes), f'{name}.bias': (out,)}


def under(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + key: shape for key, shape in shapes.items()}


def block(width: int = 768, qkv_bias: str = 'joint') -> Shapes:
    """Names of timm 0.3, on which MAE, BEiT, SimMIM, DINO and MoCo v3 are built."""
    qkv: Shapes = {'attn.qkv.weight': (3 * width, width)}
    if qkv_bias == 'joint':
        qkv['attn.qkv.bias'] = (3 * width,)
    elif qkv_bias == 'qv':
        qkv |= {'attn.q_bias': (width,), 'attn.v_bias': (width,)}
    return {
        **both('norm1', width),
        **qkv,
        **both('attn.proj', width, width),
        **both('norm2', width),
        **both('mlp.fc1', 4 * width, width),
        **both('mlp.fc2', width, 4 * width),
    }


def blocks(depth: int = 12, extra: Shapes | None = None, **options) -> Shapes:
    return {
        name: shape
        for i in range(depth)
        for name, shape in under(f'blocks.{i}.', {**block(**options), **(extra or {})}).items()
    }


def embedding(width: int = 768, patch: int = 16, positions: int | None = 197) -> Shapes:
    shapes: Shapes = {
        'cls_token': (1, 1, width),
        **both('patch_embed.proj', width, 3, patch, patch),
    }
    if positions:
        shapes['pos_embed'] = (1, positions, width)
    return shapes


def plain(width: int = 768, depth: int = 12, **options) -> Shapes:
    return {**embedding(width, **options), **blocks(depth, width=width), **both('norm', width)}


def mae_decoder(width: int = 768, inner: int = 512, depth: int = 8) -> Shapes:
    return {
        **both('decoder_embed', inner, width),
        'mask_token': (1, 1, inner),
        'decoder_pos_embed': (1, 197, inner),
        **under('decoder_', blocks(depth, width=inner)),
        **both('decoder_norm', inner),
        **both('decoder_pred', 768, inner),
    }


GAMMAS: Shapes = {'gamma_1': (768,), 'gamma_2': (768,)}
TABLE: Shapes = {
    'attn.relative_position_bias_table': (732, 12),
    'attn.relative_position_index': (197, 197),
}
SHARED: Shapes = {
    'rel_pos_bias.relative_position_bias_table': (732, 12),
    'rel_pos_bias.relative_position_index': (197, 197),
}


def beit_pretrained() -> Shapes:
    return {
        **embedding(positions=None),
        'mask_token': (1, 1, 768),
        **SHARED,
        **blocks(extra=GAMMAS, qkv_bias='qv'),
        **both('norm', 768),
        **both('lm_head', 8192, 768),
    }


def beitv2_pretrained() -> Shapes:
    head = {
        f'cls_pt_layers.{i}.{name}': shape
        for i in range(2)
        for name, shape in {**block(qkv_bias='qv'), **GAMMAS}.items()
    }
    return beit_pretrained() | head


def beit_finetuned() -> Shapes:
    return {
        **embedding(positions=None),
        **blocks(extra={**GAMMAS, **TABLE}, qkv_bias='qv'),
        **both('fc_norm', 768),
        **both('head', 1000, 768),
    }


def vqkd() -> Shapes:
    def vit(channels: int, depth: int, patch: int) -> Shapes:
        return {
            **embedding(),
            **both('patch_embed.proj', 768, channels, patch, patch),
            **blocks(depth, qkv_bias='qv'),
            **both('fc_norm', 768),
        }

    return {
        **under('encoder.', vit(3, 12, 16)),
        **under('decoder.', vit(32, 3, 1)),
        'quantize.embedding.weight': (8192, 32),
        'quantize.embedding.initted': (1,),
        'quantize.cluster_size': (8192,),
        **both('encode_task_layer.0', 768, 768),
        **both('decode_task_layer.2', 512, 768),
    }


def simmim_pretrained() -> Shapes:
    encoder = beit_pretrained()
    encoder = {key: shape for key, shape in encoder.items() if not key.startswith('lm_head')}
    return {**under('encoder.', encoder), **both('decoder.0', 768, 768, 1, 1)}


def moco_v3() -> Shapes:
    head: Shapes = {'head.0.weight': (4096, 768), 'head.1.weight': (4096,)}
    return {
        **under('module.base_encoder.', {**plain(), **head}),
        **under('module.momentum_encoder.', {**plain(), **head}),
        'module.predictor.0.weight': (4096, 256),
    }


def ibot() -> Shapes:
    return {**plain(), 'masked_embed': (1, 768)}


def dinov2(patch: int = 14, registers: int = 0) -> Shapes:
    shapes = {
        **embedding(patch=patch, positions=1 + 37 * 37),
        'mask_token': (1, 768),
        **blocks(extra={'ls1.gamma': (768,), 'ls2.gamma': (768,)}),
        **both('norm', 768),
    }
    if registers:
        shapes['register_tokens'] = (1, registers, 768)
    return shapes


def chunked(shapes: Shapes) -> Shapes:
    """As sharded DINOv2 training saves it: four chunks of three blocks."""
    return {
        re.sub(r'^blocks\.(\d+)\.', lambda m: f'blocks.{int(m[1]) // 3}.{m[1]}.', key): shape
        for key, shape in shapes.items()
    }


def vitdet() -> Shapes:
    net = {key: shape for key, shape in plain().items() if not key.startswith(('cls', 'norm'))}
    for i in range(12):
        side = 64 if i % 3 == 2 else 14
        for axis in 'hw':
            net[f'blocks.{i}.attn.rel_pos_{axis}'] = (2 * side - 1, 64)
    return {
        **under('backbone.net.', net),
        'backbone.simfp_2.0.weight': (768, 384, 2, 2),
        'roi_heads.box_head.0.conv1.weight': (256, 256, 3, 3),
    }


def openmmlab(shapes: Shapes) -> Shapes:
    """Official names in mmpretrain's and mmsegmentation's spelling."""
    new = {}
    for key, shape in shapes.items():
        key = re.sub(r'^blocks\.', 'layers.', key).replace(
            'patch_embed.proj.', 'patch_embed.projection.'
        )
        key = re.sub(r'\.norm([12])\.', r'.ln\1.', key)
        key = key.replace('mlp.fc1', 'ffn.layers.0.0').replace('mlp.fc2', 'ffn.layers.1')
        new[re.sub(r'^norm\.', 'ln1.', re.sub(r'^fc_norm\.', 'ln2.', key))] = shape
    return new


def mmpretrain_mae() -> Shapes:
    neck = {key: shape for key, shape in mae_decoder().items() if key != 'mask_token'}
    return {**under('backbone.', openmmlab(plain())), **under('neck.', neck)}


def mmpretrain_beitv2() -> Shapes:
    kept = {k: s for k, s in beit_pretrained().items() if not k.startswith('lm_head')}
    teacher = under('target_generator.encoder.', openmmlab(plain()))
    return {**under('backbone.', openmmlab(kept)), **teacher, **both('head.cls_head', 8192, 768)}


def mmpretrain_layer_scale() -> Shapes:
    scales = {'attn.gamma1.weight': (768,), 'ffn.gamma2.weight': (768,)}
    return {
        **under(
            'backbone.', openmmlab({**embedding(), **both('norm', 768), **blocks(extra=scales)})
        ),
        **both('head.layers.head', 1000, 768),
    }


def mmseg(shapes: Shapes) -> Shapes:
    return {**under('backbone.', openmmlab(shapes)), **both('decode_head.conv_seg', 150, 768, 1, 1)}


def ostrack() -> Shapes:
    more = {'pos_embed_z': (1, 64, 768), 'pos_embed_x': (1, 256, 768)}
    return {**under('backbone.', {**plain(), **more}), **both('box_head.conv5_ctr', 1, 32, 1, 1)}


# name: (checkpoint, dialect, some of the inferred arguments)
BASE = dict(arch='base', patch_size=16, img_size=224)
QV = dict(BASE, qkv_bias='qv', layer_scale=1.0, pos_embed='none')
CASES: dict[str, tuple[Callable[[], dict], str, dict]] = {
    'MAE, full': (
        lambda: {'model': tensors(plain() | mae_decoder()), 'args': Namespace(blr=1.5e-4)},
        'MAE',
        dict(BASE, pos_embed='learned', final_norm=True, cls_token=True),
    ),
    'MAE, encoder': (lambda: {'model': tensors(plain())}, 'plain ViT', BASE),
    'MAE, fine-tuned': (
        lambda: {'model': tensors(
            {k: s for k, s in plain().items() if not k.startswith('norm')}
            | both('fc_norm', 768) | both('head', 1000, 768))},
        'timm ViT', dict(BASE, final_norm=False, fc_norm=True),
    ),
    'MAE-Lite': (
        lambda: {'model': tensors(under('module.model.', plain(192) | mae_decoder(192, 96, 1)))},
        'MAE-Lite', dict(BASE, arch='tiny-h12'),
    ),
    'D2-MAE-Lite': (
        lambda: {'model': tensors(
            under('module.model.', plain(192) | mae_decoder(192, 96, 1)
                  | under('blocks.12.', {**both('norm1', 192), **both('attn.qkv', 576, 192)}))
            | under('module.tch_model.', plain())
            | {'module.attn_adapter.adapter11.weight': (12, 12, 1, 1)})},
        'MAE-Lite', dict(BASE, arch='tiny-h12'),
    ),
    'MAE-Lite, with relative positions': (
        lambda: {'model': tensors(
            embedding(192) | both('fc_norm', 192)
            | blocks(width=192, extra={k: (*s[:1], 12) for k, s in TABLE.items()}))},
        'BEiT', dict(arch='tiny-h12', rel_pos_bias='per_block', qkv_bias='joint'),
    ),
    'SimMIM': (
        lambda: {'model': tensors(simmim_pretrained())},
        'SimMIM ViT', dict(QV, rel_pos_bias='shared', mask_token=True),
    ),
    'SimMIM, fine-tuned': (
        lambda: {'model': tensors(beit_finetuned())}, 'BEiT', dict(QV, rel_pos_bias='per_block'),
    ),
    'BEiT': (
        lambda: {'model': tensors(beit_pretrained())}, 'BEiT', dict(QV, rel_pos_bias='shared'),
    ),
    'BEiT v2': (
        lambda: {'module': tensors(beitv2_pretrained())},
        'BEiT v2', dict(QV, rel_pos_bias='shared', final_norm=True, mask_token=True),
    ),
    'BEiT v2, fine-tuned': (
        lambda: {'model': tensors(beit_finetuned())},
        'BEiT', dict(QV, rel_pos_bias='per_block', final_norm=False, fc_norm=True),
    ),
    'BEiT, segmentation': (
        lambda: {'state_dict': tensors(
            under('backbone.', {k: (3972, 12) if k.endswith('table') else s
                                for k, s in beit_finetuned().items() if not k.startswith('head')}
                  | both('fpn1.0', 768, 768, 2, 2))
            | both('decode_head.conv_seg', 150, 768, 1, 1))},
        'BEiT', dict(QV, img_size=512, rel_pos_bias='per_block'),
    ),
    'BEiT v2 tokenizer': (
        lambda: {'model': tensors(vqkd())}, 'BEiT v2 tokenizer',
        dict(BASE, qkv_bias='qv', rel_pos_bias=None, final_norm=False, fc_norm=True),
    ),
    'MoCo v3': (lambda: {'state_dict': tensors(moco_v3()), 'arch': 'vit_base'}, 'MoCo v3', BASE),
    'DINO': (
        lambda: {'student': tensors(under('module.backbone.', plain())),
                 'teacher': tensors(under('backbone.', plain())), 'epoch': 3},
        'DINO', BASE,
    ),
    'DINO, backbone': (lambda: tensors(plain()), 'plain ViT', BASE),
    'iBOT': (
        lambda: {'student': tensors(under('module.backbone.', ibot())),
                 'teacher': tensors(under('backbone.', ibot()))},
        'iBOT', dict(BASE, mask_token=True),
    ),
    'DINOv2': (
        lambda: tensors(dinov2()), 'DINOv2',
        dict(arch='base', patch_size=14, img_size=518, layer_scale=1.0, mask_token=True),
    ),
    'DINOv2, registers': (
        lambda: tensors(dinov2(registers=4)), 'DINOv2', dict(img_size=518, num_registers=4),
    ),
    'DINOv2, training': (
        lambda: {'model': tensors(under('student.backbone.', chunked(dinov2()))
                                  | under('teacher.backbone.', chunked(dinov2())))},
        'DINOv2', dict(arch='base', patch_size=14),
    ),
    'ViTDet': (
        lambda: {'model': tensors(vitdet())}, 'detectron2 ViTDet',
        dict(arch='base', img_size=1024, cls_token=False, decomposed_rel_pos=True, window_size=14,
             global_blocks=(2, 5, 8, 11), final_norm=False),
    ),
    'mmpretrain MAE': (lambda: {'state_dict': tensors(mmpretrain_mae())}, 'mmpretrain', BASE),
    'mmpretrain BEiT v2': (
        lambda: {'state_dict': tensors(mmpretrain_beitv2())},
        'mmpretrain', dict(QV, rel_pos_bias='shared', mask_token=True),
    ),
    'mmpretrain, layer scale': (
        lambda: {'state_dict': tensors(mmpretrain_layer_scale())},
        'mmpretrain', dict(BASE, layer_scale=1.0),
    ),
    'mmsegmentation BEiT': (
        lambda: {'state_dict': tensors(mmseg(
            {k: s for k, s in beit_finetuned().items() if not k.startswith(('head', 'fc_norm'))}))},
        'mmsegmentation', dict(QV, rel_pos_bias='per_block', norm_eps=1e-5),
    ),
    'mmsegmentation MAE': (
        lambda: {'state_dict': tensors(mmseg(
            {**embedding(), **blocks(extra={**GAMMAS, **TABLE})}))},
        'mmsegmentation', dict(BASE, rel_pos_bias='per_block', qkv_bias='joint', layer_scale=1.0),
    ),
    'OSTrack': (lambda: {'net': tensors(ostrack()), 'epoch': 300}, 'OSTrack', BASE),
}  # fmt: skip


@pytest.mark.parametrize('case', CASES)
def test_covers_the_whole_backbone(case: str, load) -> None:
    make, dialect, expected = CASES[case]
    config, report = load(make())
    assert report.dialect.startswith(dialect)
    assert report.covered == 1
    assert report.unexpected == []
    assert {key: config.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ('width', 'choices'),
    [(192, r': num_heads=3 \(tiny\) or num_heads=12 \(tiny-h12\)'), (40, '$')],
)
def test_heads_that_shapes_do_not_show_are_asked_for(width: int, choices: str, load) -> None:
    how = r'give num_heads=N \(--backbone num_heads=N on the command line\)'
    with pytest.raises(CheckpointError, match=how + choices):
        backbone_config(tensors(plain(width)))
    config, report = load(tensors(plain(width)), num_heads=4)
    assert config['arch'] == {'embed_dim': width, 'depth': 12, 'num_heads': 4}
    assert report.covered == 1


@pytest.mark.parametrize(
    ('words', 'heads'),
    [({'args': Namespace(model='deit_tiny')}, 3), ({'args': Namespace(num_heads=6)}, 6)],
)
def test_a_file_may_say_its_heads(words: dict, heads: int) -> None:
    config = backbone_config({'model': tensors(plain(192)), **words})
    arch = config['arch']
    assert arch == 'tiny' if heads == 3 else arch['num_heads'] == heads


def test_small_moco_v3_has_12_heads_and_small_dino_6() -> None:
    moco = {f'module.base_encoder.{key}': shape for key, shape in plain(384).items()}
    assert backbone_config({'state_dict': tensors(moco)})['arch'] == 'small-h12'
    dino = {'teacher': tensors(under('backbone.', plain(384))), 'student': tensors(plain(384))}
    assert backbone_config(dino)['arch'] == 'small'


def plain_with(width: int, *extra: str) -> dict:
    return {**plain(width), **dict.fromkeys(extra, (width,))}


GUESSED = {  # state, heads, where they are from; None: several published sizes fit
    'DeiT-Ti': (lambda: {**plain(192), 'head.weight': (1000, 192)}, 3, 'as in ViT-tiny'),
    'DeiT-S': (lambda: {**plain(384), 'head.weight': (1000, 384)}, 6, 'as in ViT-small'),
    'DINOv2-S of timm': (lambda: plain_with(384, *(
        f'blocks.{i}.ls{k}.gamma' for i in range(12) for k in (1, 2))), 6, 'as in ViT-small'),
    'ViT-B': (lambda: plain(768), 12, 'as in ViT-base'),
    'MoCo v3, small': (
        lambda: {f'module.base_encoder.{k}': s for k, s in plain(384).items()}, 12, 'as MoCo v3'),
    'MAE-Lite': (
        lambda: {**plain(192), 'decoder_embed.weight': (96, 192)}, 12, 'as MAE-Lite has'),
    'an encoder alone': (lambda: plain(192), None, ''),
    'a fine-tuned MAE': (
        lambda: {**plain_with(192, 'fc_norm.weight', 'fc_norm.bias'), 'head.weight': (9, 192)},
        None, ''),
}  # fmt: skip


@pytest.mark.parametrize('case', GUESSED)
@pytest.mark.filterwarnings('ignore:.*meta parameter')
def test_heads_of_published_sizes_are_guessed_and_the_report_says_so(case: str) -> None:
    make, heads, where = GUESSED[case]
    state = tensors(make())
    if heads is None:
        with pytest.raises(CheckpointError, match=r'num_heads=3 \(tiny\) or num_heads=12'):
            backbone_config(state)
        return
    with torch.device('meta'):
        backbone, report = from_checkpoint(state)
        other, told = from_checkpoint(state, num_heads=2 * heads)  # the caller knows
    assert backbone.num_heads == heads
    (line,) = report.guessed
    assert line.startswith(f'num_heads={heads}, {where}')
    assert line in report.as_text()
    assert other.num_heads == 2 * heads
    assert told.guessed == []


@pytest.mark.parametrize(
    ('asked', 'message'),
    [
        ({'num_heads': 6}, 'has num_heads=12, and the given value says 6'),
        ({'arch': 'small'}, "has embed_dim=768, and arch='small' says 384"),
        ({'arch': 'base', 'num_heads': 6}, "num_heads=6 contradicts arch='base', which has 12"),
        ({'arch': 'bas'}, "arch 'bas'; known: tiny"),
    ],
)
@pytest.mark.parametrize('recorded', [False, True])
def test_sizes_that_contradict_the_file_are_refused(asked: dict, message: str, recorded) -> None:
    state = {'model': tensors(plain(768)), 'args': {'num_heads': 12}}
    if recorded:
        record = {'backbone': {'type': 'mim_backbones.MIMViT', 'arch': 'base'}}
        state = {'state_dict': tensors(plain(768)), 'meta': {'mimbench': record}}
    with pytest.raises(CheckpointError, match=re.escape(message)):
        backbone_config(state, **asked)
    assert backbone_config(state, arch='base', num_heads=12)['arch'] == 'base'


def test_mmpretrain_small_is_768_wide_and_8_deep(load) -> None:
    # Its 'small' has 8 heads, base's width: a width alone would say 12.
    with pytest.raises(CheckpointError, match='give num_heads'):
        load(tensors(openmmlab(plain(768, 8))))
