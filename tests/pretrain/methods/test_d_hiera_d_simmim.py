"""D-MAE of a Hiera and D-SimMIM of a Swin: the same tokens for both, errors by independent sums."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mim_backbones import from_checkpoint
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner
from pretrain.methods.load import load_method
from pretrain.registry import MODELS, build
from tests.pretrain.small import (
    HIERA,
    HIERA_TEACHER,
    METHODS,
    SWIN,
    SWIN_TEACHER,
    TEACHER,
    VIT,
    method,
    recipe,
    write_blobs,
)  # fmt: skip

NAMES = ('DHieraMAE', 'DSimMIM')
LAST = {'target': {'type': 'RelationTarget', 'block': -1}}


def batch(model, count: int = 2) -> tuple[Tensor, Tensor]:
    """Images, and masks of half of the units of 32 px."""
    side = model.img_size // 32
    mask = (torch.rand(count, side**2).argsort(1) < side**2 // 2).view(count, side, side)
    repeats = 32 // model.backbone.mask_size
    mask = mask.repeat_interleave(repeats, 1).repeat_interleave(repeats, 2)
    return torch.rand(count, 3, model.img_size, model.img_size), mask


def pixels(model, mask: Tensor) -> Tensor:
    size = model.backbone.mask_size
    return mask[:, None].repeat_interleave(size, 2).repeat_interleave(size, 3)


def numbers(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def normed(x: np.ndarray, norm: torch.nn.LayerNorm) -> np.ndarray:
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + norm.eps)
    return x * numbers(norm.weight) + numbers(norm.bias)


def all_pairs(x: np.ndarray, block: torch.nn.Module) -> np.ndarray:
    """Scaled products (B, heads, N, N) of all tokens (B, N, D), head by head."""
    attn = block.attn
    qkv = normed(x, block.norm1) @ numbers(attn.qkv.weight).T + numbers(attn.qkv.bias)
    width = qkv.shape[-1] // 3
    out = np.empty((len(x), attn.num_heads, x.shape[1], x.shape[1]))
    for head, part in enumerate(np.split(np.arange(width), attn.num_heads)):
        q, k = qkv[..., part], qkv[..., width + part]
        out[:, head] = np.einsum('bnd,bmd->bnm', q, k) / np.sqrt(len(part))
    return out


def mixed_error(part, said: np.ndarray, wanted: np.ndarray) -> float:
    mixed = np.einsum('ts,bsnm->btnm', numbers(part.adapter.weight[..., 0]), said)
    return part.weight * ((mixed - wanted) ** 2).mean()


def test_hieras_relations_by_numpy() -> None:
    """Four tokens of each visible unit, all in one attention; the same units for both."""
    torch.manual_seed(0)
    model = method('DHieraMAE', distill=[{**LAST, 'weight': 0.25}])
    image, mask = batch(model)
    losses, (part,) = model(image, mask, mode='loss'), model.distill
    teacher = part.target.frozen.net
    logits = []
    cases = ((model.backbone, model.normalise(image)), (teacher.net, teacher.prepare(image)))
    for net, seen in cases:
        (units,) = net.visible_units(seen, (net.depth - 2,), mask)
        logits.append(all_pairs(numbers(units.flatten(1, 3)), net.blocks[-1]))
    expected = mixed_error(part, *logits)
    assert losses['loss_relations'].item() == pytest.approx(expected, rel=1e-5)


def test_swins_relations_by_numpy() -> None:
    """One window of 2 x 2 of the last map's four, with the table; a block behind the student's."""
    torch.manual_seed(0)
    model = method('DSimMIM')
    image, mask = batch(model)
    losses, (part,) = model(image, mask, mode='loss'), model.distill
    teacher = part.target.frozen.net
    cases = (
        (part.extra_block, model.backbone, model.normalise(image), model.backbone.depth),
        (teacher.net.blocks[-1], teacher.net, teacher.prepare(image), teacher.net.depth - 1),
    )
    logits = []
    for block, net, seen, place in cases:
        (x,) = net.block_inputs(seen, (place,), mask)
        windows = numbers(x).reshape(2, 2, 2, 2, 2, -1).swapaxes(2, 3).reshape(8, 4, -1)
        table = numbers(block.attn.relative_position_bias_table).reshape(3, 3, -1)
        bias = np.array([
            [table[i // 2 - j // 2 + 1, i % 2 - j % 2 + 1] for j in range(4)] for i in range(4)
        ])  # fmt: skip
        logits.append(all_pairs(windows, block) + bias.transpose(2, 0, 1))
    expected = mixed_error(part, *logits)
    assert losses['loss_relations'].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('name', NAMES)
def test_neither_sees_what_is_hidden(name: str) -> None:
    model = method(name)
    image, mask = batch(model)
    losses = model(image, mask, mode='loss')
    other = torch.where(pixels(model, mask), torch.rand_like(image), image)
    blind = model(other, mask, mode='loss')
    assert torch.equal(blind['loss_relations'], losses['loss_relations'])
    assert not torch.equal(blind['loss_rec'], losses['loss_rec'])
    shown = torch.where(pixels(model, mask), image, torch.rand_like(image))
    assert not torch.equal(model(shown, mask, mode='loss')['loss_relations'],
                           losses['loss_relations'])  # fmt: skip


@pytest.mark.parametrize(('name', 'teacher'), [
    ('DHieraMAE', {**HIERA, 'q_pool': 2, 'mask_token': False}), ('DSimMIM', {**SWIN}),
])  # fmt: skip
def test_a_student_that_is_its_teacher_has_nothing_to_learn(name: str, teacher: dict) -> None:
    config = {'backbone': teacher, 'teacher': {**TEACHER, 'backbone': teacher},
              'distill': [{**LAST, 'adapter': False}]}  # fmt: skip
    model = method(name, **config, **({'decode_from': None} if name == 'DSimMIM' else {}))
    model.backbone.load_state_dict(model.distill[0].target.frozen.net.net.state_dict())
    losses = model(*batch(model), mode='loss')
    assert losses['loss_relations'] < 1e-12 < losses['loss_rec']
    model.backbone.blocks[-1].attn.qkv.weight.data *= 1.1
    assert model(*batch(model), mode='loss')['loss_relations'] > 1e-9


@pytest.mark.parametrize('name', NAMES)
def test_the_method_s_own_loss_is_what_it_is_without_a_teacher(name: str) -> None:
    model = method(name)
    image, mask = batch(model)
    alone = {k: v for k, v in METHODS[name].items() if k not in ('teacher', 'distill')}
    plain = build(MODELS, {**alone, 'type': name.removeprefix('D')})
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if 'distill' not in k})
    own = plain(image, mask, mode='loss')['loss']
    assert torch.equal(own, model(image, mask, mode='loss')['loss_rec'])


def test_what_swin_decodes_early_leaves_later_stages_to_the_teacher() -> None:
    model = method('DSimMIM')
    losses = model(*batch(model), mode='loss')
    losses['loss_rec'].backward(retain_graph=True)
    later = [*model.backbone.layers[2:].parameters(), *model.distill.parameters()]
    assert all(p.grad is None for p in later)
    losses['loss_relations'].backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_a_trained_file_predicts_without_its_teacher(tmp_path) -> None:
    runner = build_runner(recipe(METHODS['DSimMIM'], write_blobs(tmp_path / 'images', px=140),
                                 tmp_path / 'run', epochs=1))  # fmt: skip
    runner.train()
    path = tmp_path / 'run' / 'epoch_1.pth'
    state = torch.load(path, weights_only=False)['state_dict']
    beside = {key.removeprefix('distill.0.') for key in state if key.startswith('distill')}
    assert beside == {
        'adapter.weight', 'extra_block.norm1.weight', 'extra_block.norm1.bias',
        'extra_block.attn.qkv.weight', 'extra_block.attn.qkv.bias', 'target.fingerprint',
        'extra_block.attn.relative_position_bias_table',
    }  # fmt: skip
    model, _, missing = load_method(path)
    image, mask = batch(model)
    assert missing == [] and not model.distill
    assert torch.equal(model.predict(image, mask), runner.model.eval().predict(image, mask))
    with pytest.raises(UserError, match='DSimMIM: no teacher to learn from; give model'):
        model(image, mask, mode='loss')
    assert from_checkpoint(path)[1].unexpected == []


def test_a_released_file_predicts_with_its_recipe(tmp_path) -> None:
    """Names of wangsr126/MAE-Lite: its norm is of the map that is decoded, its 13th block cut."""
    cfg = read_config('configs/pretrain/d-simmim-lite_swin-ti_400e.py')
    model = build(MODELS, {**cfg.model, 'teacher': None}).eval()
    torch.nn.init.normal_(model.early.norm.weight)
    names = {'backbone.': 'encoder.', 'early.': 'encoder.', 'head.enter.': 'decoder.0.',
             'head.block.': 'decoder.1.', 'head.project.': 'decoder_pred.0.'}  # fmt: skip
    state = {}
    for name, value in model.state_dict().items():
        (ours,) = (each for each in names if name.startswith(each))
        state[f'module.model.{names[ours]}{name.removeprefix(ours)}'] = value
    extra = 'module.model.encoder.layers.3.blocks.2.'
    state |= {f'{extra}norm1.weight': torch.ones(384), f'{extra}norm1.bias': torch.zeros(384),
              f'{extra}attn.qkv.weight': torch.rand(3 * 384, 384)}  # fmt: skip
    state['module.attn_adapter.adapter12.weight'] = torch.rand(24, 24, 1, 1)
    torch.save({'model': state}, tmp_path / 'd2.pth.tar')
    loaded, _, missing = load_method(tmp_path / 'd2.pth.tar', cfg)
    image, mask = batch(model, 1)
    assert missing == [] and torch.equal(loaded.predict(image, mask), model.predict(image, mask))


# wangsr126/MAE-Lite: input of the blocks that are decoded, that of the student's and the teacher's
# blocks that relate, heads of both.
@pytest.mark.parametrize(('name', 'decoded', 'places', 'adapter', 'teacher'), [
    ('d-mae-lite_hiera-ti_400e', [1, 3, 12], (11, 23), (8, 8),
     {'type': 'mim_backbones.MIMHiera', 'q_pool': 2,
      'arch': {'embed_dim': 8, 'depths': (2, 3, 16, 3), 'num_heads': 1}}),
    ('d-simmim-lite_swin-ti_400e', [4], (12, 11), (24, 24),
     {'type': 'mim_backbones.MIMSwin', 'mask_token': True,
      'arch': {'embed_dim': 24, 'depths': (2, 2, 6, 2), 'num_heads': (3, 6, 12, 24)}}),
])  # fmt: skip
def test_released_table(name, decoded, places, adapter, teacher) -> None:
    cfg = read_config(f'configs/pretrain/{name}.py')
    with pytest.raises(UserError, match=r'Set model\.teacher\.checkpoint=FILE'):
        build(MODELS, cfg.model)
    model = build(MODELS, {**cfg.model, 'teacher': {**TEACHER, 'backbone': teacher}})
    (part,) = model.distill
    assert (model.decoded, (part.place, part.target.place)) == (decoded, places)
    assert (tuple(part.adapter.weight.shape), part.weight) == ((*adapter, 1), 1.0)
    if name.startswith('d-simmim'):
        assert (model.early.stride, model.early.last_dim) == (16, 192)
        rates = [getattr(block.drop_path, 'drop_prob', 0.0) for block in model.backbone.blocks]
        assert rates == pytest.approx([0.1 * i / 12 for i in range(12)])
        assert part.target.related == 'windows of 7x7 in a map of 7x7, shifted by 0'
    else:
        assert part.target.related == '2x2 queries and 2x2 keys a mask unit, of all of them'


@pytest.mark.parametrize(('name', 'changes', 'message'), [
    ('DHieraMAE', {'teacher': TEACHER}, 'the teacher is a MIMViT, no MIMHiera as the student'),
    ('DHieraMAE', {'teacher': {**HIERA_TEACHER, 'backbone': {**HIERA, 'q_pool': 3}}},
     'gives a 2x2 grid, MIMHiera has 4x4 tokens'),
    ('DHieraMAE', {'distill': [{'target': {'type': 'RelationTarget', 'block': 1}}]},
     'teacher relates 4x4 queries and 8x8 keys a mask unit, within each, that of the student 2x2'),
    ('DHieraMAE', {'distill': [{**LAST, 'extra_block': True}]}, 'give the last stage two blocks'),
    ('DHieraMAE', {'distill': [{'target': {'type': 'HiddenTarget'}}]},
     'HiddenTarget reads a MIMViT, no MIMHiera; take RelationTarget'),
    ('DSimMIM', {'teacher': {**SWIN_TEACHER, 'backbone': {**SWIN, 'mask_token': False}}},
     'the teacher has no mask token to see a masked image with; give model'),
    ('DSimMIM', {'teacher': {**SWIN_TEACHER, 'backbone': {**SWIN, 'window_size': 4}}},
     'relates windows of 4x4 in a map of 4x4, shifted by 0, that of the student windows of 2x2'),
    ('DSimMIM', {'distill': [LAST]}, 'comes from block 3 or later ones'),
    ('DSimMIM', {'decode_from': 4}, 'decode_from=4 of 4 stages'),
    ('DSimMIM', {'backbone': {**SWIN, 'img_size': 128}},
     "without a gradient; give model.backbone.output_norm='none'"),
    ('DSimMIM', {'backbone': VIT, 'teacher': {**TEACHER, 'backbone': VIT}, 'decode_from': None},
     'DSimMIM is for MIMSwin, not mim_backbones.MIMViT'),
    ('SimMIM', {'decode_from': 2}, 'decode_from=2 is for MIMSwin, not MIMViT'),
])  # fmt: skip
def test_what_does_not_fit_is_refused_when_the_model_is_built(name, changes, message: str) -> None:
    with pytest.raises((ValueError, UserError), match=message) as error:
        method(name, **changes)
    assert '\n' not in str(error.value)
