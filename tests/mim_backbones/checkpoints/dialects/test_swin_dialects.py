"""Every released Swin dialect: names and shapes of base size cover the whole backbone."""

import re
from collections.abc import Callable
from math import log2, prod

import pytest
import torch
from torch import Tensor

from mim_backbones.backbones.swin import MIMSwin
from mim_backbones.checkpoints.load import load_pretrained
from mim_backbones.checkpoints.safe.weights_file import CheckpointError

Shapes = dict[str, tuple[int, ...]]
DEPTHS, HEADS = (2, 2, 18, 2), (4, 8, 16, 32)


def tensors(shapes: Shapes) -> dict[str, Tensor]:
    """One random number a tensor, repeated without copies."""
    return {key: torch.rand(1).expand(shape) for key, shape in shapes.items()}


def both(name: str, out: int, *axes: int) -> Shapes:
    return {f'{name}.weight': (out, *axes), f'{name}.bias': (out,)}


def under(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + key: shape for key, shape in shapes.items()}


def attention(width: int, heads: int, window: int, version: int) -> Shapes:
    if version == 2:
        own: Shapes = {
            'logit_scale': (heads, 1, 1),
            'q_bias': (width,),
            'v_bias': (width,),
            'qkv.weight': (3 * width, width),
            **both('cpb_mlp.0', 512, 2),
            'cpb_mlp.2.weight': (heads, 512),
            'relative_coords_table': (1, 2 * window - 1, 2 * window - 1, 2),
        }
    else:
        own = {
            'relative_position_bias_table': ((2 * window - 1) ** 2, heads),
            **both('qkv', 3 * width, width),
        }
    return {**own, 'relative_position_index': (window**2,) * 2, **both('proj', width, width)}


def swin(
    window: int = 7,
    width: int = 128,
    depths: tuple[int, ...] = DEPTHS,
    heads: tuple[int, ...] = HEADS,
    windows: tuple[int, ...] | None = None,
    version: int = 1,
) -> Shapes:
    """Official names; shifted blocks have a mask buffer."""
    shapes = {**both('patch_embed.proj', width, 3, 4, 4), **both('patch_embed.norm', width)}
    for stage, (depth, count) in enumerate(zip(depths, heads)):
        size = (windows or (window,) * len(depths))[stage]
        for i in range(depth):
            here: Shapes = {
                **both('norm1', width),
                **under('attn.', attention(width, count, size, version)),
                **both('norm2', width),
                **both('mlp.fc1', 4 * width, width),
                **both('mlp.fc2', width, 4 * width),
            }
            if i % 2:
                here['attn_mask'] = (16, size**2, size**2)
            shapes |= under(f'layers.{stage}.blocks.{i}.', here)
        if stage + 1 < len(depths):
            down = f'layers.{stage}.downsample.'
            normed = 4 * width if version == 1 else 2 * width
            shapes |= {
                **both(f'{down}norm', normed),
                f'{down}reduction.weight': (2 * width, 4 * width),
            }
            width *= 2
    return shapes | both('norm', width)


def simmim(encoder: Shapes, width: int = 1024) -> Shapes:
    whole = under('encoder.', {**encoder, 'mask_token': (1, 1, 128)})
    return {**whole, **both('decoder.0', 3072, width, 1, 1)}


def mae_lite() -> Shapes:
    """The distilled student: a third block in the last stage, the norm of the second stage."""
    student = swin(width=48, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24))
    student |= {'mask_token': (1, 1, 48), **both('norm', 192)}
    block = under('layers.3.blocks.2.', {**both('norm1', 384), **both('attn.qkv', 1152, 384)})
    return {
        **under('module.model.encoder.', {**student, **block}),
        **both('module.model.decoder.0', 96, 192),
        **both('module.model.decoder_pred.0', 768, 96, 1, 1),
        **under(
            'module.tch_model.encoder.', swin(width=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24))
        ),
    }


def openmmlab(shapes: Shapes, norms: tuple[int, ...] = (0, 1, 2, 3)) -> Shapes:
    """Official names in mmdetection's, mmsegmentation's and mmpretrain's spelling."""
    new: Shapes = {}
    for key, shape in shapes.items():
        if key.startswith('norm.') or key.endswith('attn_mask'):
            continue
        key = re.sub(r'^layers\.', 'stages.', key).replace('.attn.', '.attn.w_msa.')
        key = key.replace('mlp.fc1', 'ffn.layers.0.0').replace('mlp.fc2', 'ffn.layers.1')
        new[key.replace('patch_embed.proj.', 'patch_embed.projection.')] = shape
    for stage in norms:
        new |= both(f'norm{stage}', 128 * 2**stage)
    return under('backbone.', new)


def timm_names(shapes: Shapes) -> Shapes:
    """A merging opens the next stage; no buffers."""
    return {
        re.sub(r'layers\.(\d)\.downsample', lambda m: f'layers.{int(m[1]) + 1}.downsample', key): s
        for key, s in shapes.items()
        if not key.endswith(('_index', '_mask', '_table')) or key.endswith('bias_table')
    }


BASE = dict(arch='base', window_size=7, img_size=224)
DENSE = dict(BASE, out_indices=(0, 1, 2, 3), output_norm='each', small_maps='pad')
CASES: dict[str, tuple[Callable[[], dict], str, dict]] = {
    'Swin': (lambda: {'model': tensors(swin() | both('head', 1000, 1024))}, 'Swin', BASE),
    'Swin, 384 px': (
        lambda: {'model': tensors(swin(12))}, 'Swin', dict(BASE, window_size=12, img_size=384),
    ),
    'Swin V2': (
        lambda: {'model': tensors(swin(8, version=2))},
        'Swin V2', dict(arch='base', version=2, window_size=8, img_size=256),
    ),
    'Swin, dense': (
        lambda: {'state_dict': tensors(
            under('backbone.', {k: s for k, s in swin().items() if not k.startswith('norm.')}
                  | both('norm0', 128) | both('norm1', 256) | both('norm2', 512)
                  | both('norm3', 1024)) | both('decode_head.conv_seg', 150, 512, 1, 1))},
        'Swin', DENSE,
    ),
    'SimMIM': (
        lambda: {'model': tensors(simmim(swin(6)))},
        'SimMIM Swin', dict(arch='base', window_size=6, img_size=192, mask_token=True),
    ),
    'SimMIM, large': (
        # At 192 px the last stage is one window of 6.
        lambda: {'model': tensors(simmim(
            swin(width=192, heads=(6, 12, 24, 48), windows=(12, 12, 12, 6))
            | {'mask_token': (1, 1, 192)}, 1536) | {'encoder.mask_token': (1, 1, 192)})},
        'SimMIM Swin', dict(arch='large', window_size=12, img_size=192),
    ),
    'SimMIM, V2': (
        lambda: {'model': tensors({k.replace('cpb_mlp', 'rpe_mlp'): s for k, s in
                                   simmim(swin(12, version=2)).items()})},
        'SimMIM Swin', dict(version=2, window_size=12),
    ),
    'MAE-Lite': (
        lambda: {'model': tensors(mae_lite())},
        'MAE-Lite Swin', dict(arch='tiny-lite', window_size=7, output_norm='none'),
    ),
    'timm': (lambda: tensors(timm_names(swin()) | both('head.fc', 1000, 1024)), 'timm Swin', BASE),
    'mmdetection': (
        lambda: {'state_dict': tensors(
            openmmlab(swin()) | both('rpn_head.rpn_cls', 3, 256, 1, 1))},
        'mmdetection Swin', DENSE,
    ),
    'mmsegmentation': (
        lambda: {'state_dict': tensors(
            openmmlab(swin()) | both('decode_head.conv_seg', 150, 512, 1, 1)
            | {'backbone.absolute_pos_embed': (1, 3136, 128)})},
        'mmsegmentation Swin', dict(DENSE, absolute_pos_embed=True),
    ),
    'mmpretrain': (
        lambda: {'state_dict': tensors(
            openmmlab(swin(), norms=(3,)) | both('head.fc', 1000, 1024))},
        'OpenMMLab Swin', BASE,
    ),
}  # fmt: skip


@pytest.mark.parametrize('case', CASES)
def test_covers_the_whole_backbone(case: str, load) -> None:
    make, dialect, expected = CASES[case]
    config, report = load(make())
    assert report.dialect == dialect
    assert report.covered == 1
    assert report.unexpected == []
    assert {key: config.get(key) for key in expected} == expected


def test_v2_windows_come_from_buffers(load) -> None:
    # Pre-trained at 192 px with windows of 12, fine-tuned at 256 px with 16 (8 on the last map).
    state = tensors(swin(version=2, windows=(16, 16, 16, 8)))
    for stage, (window, before) in enumerate(zip((16, 16, 16, 8), (12, 12, 12, 6))):
        reach = 8 * (window - 1) / (before - 1)
        for key in [k for k in state if k.startswith(f'layers.{stage}.') and 'coords' in k]:
            state[key] = torch.tensor(log2(reach + 1) / 3).expand(state[key].shape)
    config, report = load(state)
    assert report.covered == 1
    assert config['window_size'] == 16
    assert config['img_size'] == 256
    assert config['pretrained_window_sizes'] == (12, 12, 12, 6)


def test_patch_merging_of_openmmlab_is_reordered(load) -> None:
    from mim_backbones.checkpoints.dialects.openmmlab import official_order

    # Channels named by (row, column, channel), as nn.Unfold puts them: channel first.
    unfolded = torch.tensor(
        [[c, 10 * row + column] for c in range(2) for row in (0, 1) for column in (0, 1)]
    )
    places = official_order(unfolded[:, 1]).tolist()
    assert places == [0, 0, 10, 10, 1, 1, 11, 11]  # official: (even, even), (odd row, even), ...
    assert official_order(unfolded[:, 0]).tolist() == [0, 1] * 4


def test_expanded_tensors_take_no_memory() -> None:
    held = sum(t.untyped_storage().nbytes() for t in tensors(swin()).values())
    assert held < 4096 < sum(prod(shape) for shape in swin().values())


@pytest.mark.parametrize('asked', ['pad', 'shrink'])
def test_four_outputs_without_a_head_are_asked_for(asked: str, load) -> None:
    """mmdet, mmseg and mmpretrain name them alike; only what is beside tells them apart."""
    bare = {'state_dict': tensors(openmmlab(swin()))}
    with pytest.raises(CheckpointError, match=r"give small_maps='pad' or small_maps='shrink'"):
        load(bare)
    assert load(bare, small_maps=asked)[0]['small_maps'] == asked
    classifier = {'state_dict': tensors(openmmlab(swin()) | both('head.fc', 1000, 1024))}
    assert load(classifier)[0]['small_maps'] == 'shrink'
    detector = {'state_dict': tensors(openmmlab(swin()) | both('mask_head.conv', 8, 8))}
    assert load(detector)[0]['small_maps'] == 'pad'


def v2_without_buffers(width: int = 96, depths: tuple[int, ...] = (2, 2, 6, 2)) -> dict:
    heads = tuple(width * 2**stage // 32 for stage in range(4))
    shapes = swin(8, width, depths, heads, version=2)
    return tensors(
        {k: s for k, s in shapes.items() if 'coords_table' not in k and 'index' not in k}
    )


def test_v2_windows_from_the_files_own_config(load) -> None:
    """The released files hold the yacs config of their training."""
    said = {'MODEL': {'SWINV2': {'WINDOW_SIZE': 16, 'PRETRAINED_WINDOW_SIZES': [12, 12, 12, 6]}}}
    config, _ = load({'model': v2_without_buffers(), 'config': {**said, 'DATA': {'IMG_SIZE': 256}}})
    assert config['window_size'] == 16
    assert config['img_size'] == 256
    assert config['pretrained_window_sizes'] == (12, 12, 12, 6)


def test_v2_moved_to_other_windows_keeps_the_scale_of_its_own(load) -> None:
    state = tensors(swin(version=2, windows=(12, 12, 12, 6)))
    for key in [key for key in state if 'coords' in key]:
        state[key] = torch.tensor(log2(9) / 3).expand(state[key].shape)
    config, _ = load(state, window_size=16, img_size=256)
    assert config['window_size'] == 16
    assert config['pretrained_window_sizes'] == (12, 12, 12, 6)


def test_v2_asks_for_windows_by_name(load) -> None:
    with pytest.raises(CheckpointError, match='give window_size=N'):
        load(v2_without_buffers())
    config, _ = load(v2_without_buffers(), window_size=16)
    assert config['pretrained_window_sizes'] == (0, 0, 0, 0)
    released = v2_without_buffers(128, (2, 2, 18, 2))
    with pytest.raises(CheckpointError, match='give pretrained_window_sizes='):
        load(released, window_size=24)
    config, _ = load(released, window_size=24, pretrained_window_sizes=(12, 12, 12, 6))
    assert config['pretrained_window_sizes'] == (12, 12, 12, 6)


def test_windows_that_grow_are_refused(load) -> None:
    with pytest.raises(CheckpointError, match='windows of 7, 7, 14, 7 tokens'):
        load(tensors(swin(windows=(7, 7, 14, 7))))


def test_a_backbone_that_scales_the_bias_otherwise_is_refused() -> None:
    arch = {'embed_dim': 16, 'depths': (1, 1), 'num_heads': (1, 2)}
    source = MIMSwin(arch, 2, img_size=64, window_size=8)
    record = {'type': 'mim_backbones.MIMSwin', 'arch': arch, 'version': 2, 'img_size': 64}
    file = {
        'state_dict': {f'backbone.{key}': value for key, value in source.state_dict().items()},
        'meta': {'mimbench': {'backbone': {**record, 'window_size': 8}}},
    }
    moved = dict(arch=arch, version=2, img_size=128, window_size=16)
    with pytest.raises(CheckpointError, match=r'build it with pretrained_window_sizes=\(8, 8\)'):
        load_pretrained(MIMSwin(**moved), file)
    load_pretrained(MIMSwin(**moved, pretrained_window_sizes=(8, 8)), file)
