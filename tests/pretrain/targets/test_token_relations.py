"""Relations of all tokens of a frozen ViT: worked out again from its weights, what is refused."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS as BACKBONES
from pretrain.registry import MODELS, build
from pretrain.targets.base import Student, bound_target
from pretrain.targets.token_relations import TokenRelationTarget
from tests.pretrain.small import HIERA, MAE_VIT, RELATIONS, TEACHER, method

DEEP = {**MAE_VIT, 'arch': {'embed_dim': 24, 'depth': 3, 'num_heads': 4}}


def target(backbone: dict = DEEP, **options) -> TokenRelationTarget:
    teacher = {'type': 'BackboneTeacher', 'random_weights': True, 'backbone': backbone}
    made = build(MODELS, {**RELATIONS, 'teacher': teacher, **options})
    made.bind(Student('ViT', (32, 32), 8))
    return made


def by_numpy(block, x: Tensor, pair: str, heads: int) -> np.ndarray:
    """x (N, D) -> (heads, N, N), the definition head by head, in float64."""
    weights = {k: v.double().numpy() for k, v in block.state_dict().items()}
    x = x.double().numpy()
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + block.norm1.eps)
    x = x * weights['norm1.weight'] + weights['norm1.bias']
    dim, found = x.shape[1], []
    projected = x @ weights['attn.qkv.weight'].T + weights['attn.qkv.bias']
    parts = {name: projected[:, i * dim : (i + 1) * dim] for i, name in enumerate('qkv')}
    for head in np.split(np.arange(dim), heads):
        logits = parts[pair[0]][:, head] @ parts[pair[1]][:, head].T / np.sqrt(len(head))
        shares = np.exp(logits - logits.max(1, keepdims=True))
        found.append(shares / shares.sum(1, keepdims=True))
    return np.stack(found)


@pytest.mark.parametrize(('options', 'place', 'heads'), [
    ({}, 2, 4), ({'block': 1, 'heads': 6}, 1, 6), ({'block': 0, 'relations': ['qq', 'kv']}, 0, 4),
])  # fmt: skip
def test_worked_out_again_from_the_weights(options: dict, place: int, heads: int) -> None:
    own, image = target(**options), torch.rand(2, 3, 32, 32)
    vit = own.frozen.net.net
    for parameter in vit.blocks[place].parameters():  # no zero biases, no unit norms
        parameter.data += 0.3 * torch.randn_like(parameter)
    values = own(image).values
    assert values.shape == (2, own.width, 17, 17) == (2, 2 * heads, 17, 17)
    torch.testing.assert_close(values.sum(-1), torch.ones(2, own.width, 17))
    (x,) = vit.block_inputs(own.frozen.net.prepare(image), (place,))
    for b in range(2):
        expected = np.concatenate(
            [by_numpy(vit.blocks[place], x[b], pair, heads) for pair in own.relations]
        )
        np.testing.assert_allclose(values[b].numpy(), expected, atol=1e-6)


def test_qk_is_the_attention() -> None:
    own, image = target(), torch.rand(1, 3, 32, 32)
    vit = own.frozen.net.net
    (x,) = vit.block_inputs(own.frozen.net.prepare(image), (2,))
    attention = vit.attention_logits(vit.blocks[2], x, (4, 4)).softmax(-1)
    torch.testing.assert_close(own(image).values[:, :4], attention)


def test_it_stops_before_the_block_that_is_read() -> None:
    own, run = target(block=1), []
    for number, block in enumerate(own.frozen.net.net.blocks):
        block.register_forward_hook(lambda *_, number=number: run.append(number))
    values = own(torch.rand(1, 3, 32, 32)).values
    assert run == [0] and not values.requires_grad and not list(own.parameters())
    assert own.state_dict().keys() == {'fingerprint'} and own.fingerprint.any()


def test_products_are_float32_in_half_precision() -> None:
    own, image = target(), torch.rand(1, 3, 32, 32)
    with torch.autocast('cpu', torch.bfloat16):
        values = own(image).values
    assert values.dtype == torch.float32
    torch.testing.assert_close(values.sum(-1), torch.ones(1, 8, 17))


def test_queries_without_a_key_bias() -> None:
    vit = BACKBONES.build({**DEEP, 'qkv_bias': 'qv'})
    x = torch.rand(2, 5, 24)
    (one,) = vit.blocks[0].attn.relations(x, ['qk'])
    torch.testing.assert_close(one, vit.blocks[0].attn.logits(x))


@pytest.mark.parametrize(('options', 'message'), [
    ({'relations': ['qx']}, "relation 'qx'; known are pairs of 'q', 'k' and 'v'"),
    ({'block': 3}, 'TokenRelationTarget: block 3 of 3'),
    ({'heads': 5}, '5 heads do not divide the 24 channels of the teacher; change model.target'),
    ({'backbone': {**DEEP, 'patch_size': 16}}, 'gives a 2x2 grid, ViT has 4x4 tokens; both have'),
    ({'backbone': {**DEEP, 'rel_pos_bias': 'shared'}}, 'has windows, relative or rotary positions'),
    ({'backbone': {**MAE_VIT, 'rope': 'eva02'}}, 'has windows, relative or rotary positions'),
    ({'backbone': {**DEEP, 'qk_norm': True}}, 'norms queries and keys by head'),
    ({'backbone': HIERA}, 'the teacher of TokenRelationTarget is a MIMHiera, no MIMViT'),
])  # fmt: skip
def test_what_does_not_fit_is_one_line(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        target(**options)
    assert '\n' not in str(error.value)


def test_weights_are_asked_for() -> None:
    asked = {**RELATIONS, 'teacher': {'type': 'BackboneTeacher', 'checkpoint': None}}
    with pytest.raises(UserError, match=r'Set model\.target\.teacher\.checkpoint=FILE'):
        bound_target(asked, method('TinyMIM').backbone)
    timm = {'type': 'TimmTeacher', 'checkpoint': 'timm:resnet10t', 'random_weights': True}
    with pytest.raises(ValueError, match='network of another kind, no MIMViT'):
        bound_target({**RELATIONS, 'teacher': timm}, method('TinyMIM').backbone)
    assert bound_target(RELATIONS | {'teacher': TEACHER}, method('TinyMIM').backbone).width == 4
