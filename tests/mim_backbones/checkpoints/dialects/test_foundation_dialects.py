"""Foundation models under the names of their releases give what timm's ports of them give.

The released code itself was held against ours where it is at hand: DINOv3's (bit-equal, three
blocks, all three MLPs, two image sizes) and EVA-02's (3e-6). Key names are from there,
openai/CLIP clip/model.py, and huggingface/transformers models/clip and models/siglip.
"""

import re
from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor

from mim_backbones.backbones.layers.rope import ROPES, Rope, make_rope
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.checkpoints.load import from_checkpoint, load_pretrained
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content
from mim_backbones.checkpoints.timm_config import said_by
from tools.check_timm import model_of

State = dict[str, Tensor]
WIDTH, HEAD = 96, 24
NARROW = dict(embed_dim=WIDTH, num_heads=4, num_classes=0)
CPU = torch.device('cpu')


def renamed(state: State, rules: list[tuple[str, str]], prefix: str = '') -> State:
    found = {}
    for key, value in state.items():
        for pattern, name in rules:
            key = re.sub(pattern, name, key)
        found[prefix + key] = value
    return found


def dinov3(state: State, rounded: bool = True) -> State:
    rules = [
        (r'reg_token', 'storage_tokens'), (r'gamma_([12])', r'ls\1.gamma'),
        (r'fc1_g', 'w1'), (r'fc1_x', 'w2'),
    ]  # fmt: skip
    found = renamed(state, rules)
    if any('.w1.' in key for key in found):
        found = renamed(found, [(r'mlp\.fc2', 'mlp.w3')])
    for i in range(2):
        attn = f'blocks.{i}.attn.'
        q, v = found.pop(f'{attn}q_bias'), found.pop(f'{attn}v_bias')
        found[f'{attn}qkv.bias'] = torch.cat([q, torch.full_like(q, 7.0), v])  # masked away
        masked = torch.tensor([1.0, 0.0, 1.0]).repeat_interleave(WIDTH)
        found[f'{attn}qkv.bias_mask'] = masked
    found['mask_token'] = torch.zeros(1, WIDTH)
    found['rope_embed.periods'] = Rope(HEAD, **ROPES['dinov3'], rounded=rounded).periods(CPU)
    found['local_cls_norm.weight'] = torch.ones(WIDTH)
    return found


def eva02(state: State) -> State:
    found = renamed(state, [
        (r'fc1_g', 'w1'), (r'fc1_x', 'w2'), (r'mlp\.fc2', 'mlp.w3'), (r'mlp\.norm', 'mlp.ffn_ln'),
        (r'attn\.norm', 'attn.inner_attn_ln'), (r'([qv])_proj\.bias', r'\1_bias'),
        (r'(mlp\.)fc1\.', r'\1w12.'),
    ])  # fmt: skip
    rope = make_rope('eva02', HEAD)([(4, 4)], CPU)
    for key in ('rope', 'blocks.0.attn.rope', 'blocks.1.attn.rope'):
        found |= {f'{key}.freqs_cos': rope.cos, f'{key}.freqs_sin': rope.sin}
    return found


def openai(state: State) -> State:
    found = renamed(state, [
        (r'blocks\.', 'transformer.resblocks.'), (r'norm_pre', 'ln_pre'), (r'^norm\.', 'ln_post.'),
        (r'norm([12])', r'ln_\1'), (r'attn\.qkv\.', 'attn.in_proj_'),
        (r'attn\.proj', 'attn.out_proj'),
        (r'mlp\.fc1', 'mlp.c_fc'), (r'mlp\.fc2', 'mlp.c_proj'), (r'patch_embed\.proj', 'conv1'),
        (r'cls_token', 'class_embedding'), (r'pos_embed', 'positional_embedding'),
    ], 'visual.')  # fmt: skip
    for key in ('visual.class_embedding', 'visual.positional_embedding'):
        found[key] = found[key].squeeze(0)
    found['visual.class_embedding'] = found['visual.class_embedding'].squeeze(0)
    text = {'transformer.resblocks.0.ln_1.weight': torch.ones(8), 'logit_scale': torch.ones(())}
    return {
        **found,
        **text,
        'visual.proj': torch.ones(WIDTH, 8),
        'input_resolution': torch.tensor(64),
    }


def hugging_face(state: State) -> State:
    found = renamed(state, [
        (r'blocks\.', 'encoder.layers.'), (r'norm_pre', 'pre_layrnorm'),
        (r'^norm\.', 'post_layernorm.'), (r'norm([12])', r'layer_norm\1'),
        (r'attn\.proj', 'self_attn.out_proj'),
        (r'^patch_embed\.proj', 'embeddings.patch_embedding'),
        (r'cls_token', 'embeddings.class_embedding'), (r'^attn_pool', 'head'),
        (r'^pos_embed', 'embeddings.position_embedding.weight'),
    ], 'vision_model.')  # fmt: skip
    for key in [key for key in found if '.qkv.' in key]:
        for name, part in zip('qkv', found.pop(key).chunk(3), strict=True):
            found[key.replace('attn.qkv', f'self_attn.{name}_proj')] = part
    for name in ('class_embedding', 'position_embedding.weight'):
        key = f'vision_model.embeddings.{name}'
        if key in found:
            found[key] = found[key].squeeze(0)
    return {**found, 'text_model.final_layer_norm.weight': torch.ones(8)}


def dinov2_giant(state: State) -> State:
    found = renamed(state, [(r'mlp\.fc1', 'mlp.w12'), (r'mlp\.fc2', 'mlp.w3')])
    return {**found, 'mask_token': torch.zeros(1, WIDTH)}


CASES: dict[str, tuple[str, int, Callable[[State], State], dict, dict]] = {
    'DINOv3': ('vit_small_patch16_dinov3_qkvb', 16, dinov3, {}, {'qkv_bias': 'qv'}),
    'DINOv3, SwiGLU': ('vit_small_plus_patch16_dinov3_qkvb', 16, dinov3, {}, {'mlp': 'swiglu'}),
    'EVA-02, packed': ('eva02_tiny_patch14_224', 14, eva02, {}, {'rope': 'eva02'}),
    'EVA-02': ('eva02_base_patch14_224', 14, eva02, {}, {'mlp_norm': True}),
    'EVA-CLIP': ('eva02_base_patch16_clip_224', 16, eva02, {}, {'attn_norm': True}),
    "CLIP (OpenAI's names)": (
        'vit_base_patch16_clip_quickgelu_224', 16, openai, {'num_heads': 4}, {'act': 'quick_gelu'},
    ),
    "CLIP (Hugging Face's names)": (
        'vit_base_patch16_clip_224', 16, hugging_face, {'num_heads': 4, 'act': 'gelu'}, {},
    ),
    "SigLIP (Hugging Face's names)": (
        'vit_base_patch32_siglip_256', 32, hugging_face, {'num_heads': 4}, {'act': 'gelu_tanh'},
    ),
    'DINOv2': ('vit_giant_patch14_dinov2', 14, dinov2_giant, {'num_heads': 4}, {'mlp': 'swiglu'}),
}  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize('case', CASES)
def test_released_names_give_timms_features(case: str) -> None:
    name, patch, release, given, expected = CASES[case]
    side = 4 * patch
    model = model_of(name, **NARROW, img_size=side)
    if release is dinov3:  # in released files rounded to bfloat16
        model.rope.periods.copy_(Rope(HEAD, **ROPES['dinov3'], rounded=True).periods(CPU))
    backbone, report = from_checkpoint(release(model.state_dict()), **given)
    assert case.startswith(report.dialect) or report.dialect == 'EVA-02'
    assert report.covered == 1 and not report.unexpected
    assert expected.items() <= backbone.built_with.items()
    if 'rope' in backbone.built_with:
        assert not report.guessed  # the buffers show the heads
    image = torch.randn(2, 3, side, side)
    theirs = model.forward_intermediates(image, intermediates_only=True)
    for found, their in zip(backbone.eval().intermediates(image, (0, 1)), theirs, strict=True):
        torch.testing.assert_close(found, their, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_unrounded_periods_are_told_from_the_files() -> None:
    model = model_of('vit_small_patch16_dinov3_qkvb', **NARROW, img_size=64)
    backbone, _ = from_checkpoint(dinov3(model.state_dict(), rounded=False))
    assert backbone.built_with['rope'] == 'dinov3'
    image = torch.randn(1, 3, 64, 64)
    their = model.forward_intermediates(image, intermediates_only=True)[-1]
    found = backbone.eval().intermediates(image, (-1,))[0]
    torch.testing.assert_close(found, their, atol=1e-4, rtol=1e-4)


def test_other_rotary_positions_are_refused() -> None:
    state = dinov3(model_of('vit_small_patch16_dinov3_qkvb', **NARROW).state_dict())
    state['rope_embed.periods'] *= 2
    with pytest.raises(CheckpointError, match='not those of the released DINOv3'):
        from_checkpoint(state)
    state = eva02(model_of('eva02_tiny_patch14_224', **NARROW).state_dict())
    for key in [key for key in state if 'freqs_cos' in key]:
        state[key] = state[key].roll(1, 0)
    with pytest.raises(CheckpointError, match="is not EVA-02's"):
        from_checkpoint(state)


@pytest.mark.parametrize(
    ('name', 'wrong', 'right'),
    [
        ('vit_small_patch16_dinov3_qkvb', {'rope': 'none'}, "rope='dinov3'"),
        ('vit_small_patch16_dinov3_qkvb', {'rope': 'eva02'}, "rope='dinov3'"),
        ('vit_tiny_patch16_224', {'rope': 'eva02'}, 'rope=None'),
        ('vit_base_patch16_clip_quickgelu_224', {'act': 'gelu'}, "act='quick_gelu'"),
    ],
)
def test_a_backbone_that_would_compute_something_else_is_refused(name, wrong, right) -> None:
    """`init_cfg` into a backbone written by hand: every shape fits, and the features do not."""
    model = model_of(name, **NARROW, img_size=64)
    content = Content(f'timm:{name}', model.state_dict(), said_by(model))
    backbone, _ = from_checkpoint(content)
    load_pretrained(MIMViT(**backbone.built_with), content)
    with pytest.raises(CheckpointError, match=f'was trained with {right}'):
        load_pretrained(MIMViT(**{**backbone.built_with, **wrong}), content)


def test_grouped_queries_are_refused() -> None:
    state = eva02(model_of('eva02_base_patch14_224', **NARROW).state_dict())
    for part in 'kv':
        key = f'blocks.0.attn.{part}_proj.weight'
        state[key] = state[key][:48]
    with pytest.raises(CheckpointError, match='grouped queries'):
        from_checkpoint(state)


def test_timm_names_are_those_of_its_own_list() -> None:
    assert {name for name, *_ in CASES.values()} <= set(timm.list_models())
