"""D-MAE: same patches for both, numbers by hand, what cannot learn is refused."""

import pytest
import torch
from torch import Tensor

from mim_backbones import from_checkpoint
from mim_backbones.errors import UserError
from mim_backbones.training.launch import build_runner
from pretrain.hooks.record import MethodRecord
from pretrain.methods.d_mae import DMAE
from pretrain.methods.distilled import Adapter
from pretrain.methods.load import load_method
from tests.pretrain.small import ARCH, MAE_DECODER, MAE_VIT, TEACHER, method, recipe, write_blobs

LAST = {'target': {'type': 'RelationTarget', 'block': -1}}
D2 = {'decode_from': 0, 'distill': [{**LAST, 'student': -1, 'extra_block': True}]}
BIG = {**TEACHER, 'backbone': {**MAE_VIT, 'arch': {'embed_dim': 48, 'depth': 4, 'num_heads': 3}}}


def batch(count: int = 2) -> tuple[Tensor, Tensor]:
    mask = (torch.rand(count, 16).argsort(1) < 12).view(count, 4, 4)
    return torch.rand(count, 3, 32, 32), mask


def test_student_and_teacher_see_the_same_patches(monkeypatch) -> None:
    model, asked = method('DMAE'), []
    (image, mask), teacher = batch(), model.distill[0].target.frozen.net
    for net in (model.backbone, teacher.net):
        monkeypatch.setattr(net, 'block_inputs', lambda x, places, mask=None, keep=None, net=net: (
            asked.append((x, keep)) or type(net).block_inputs(net, x, places, mask, keep)
        ))  # fmt: skip
    losses = model(image, mask, mode='loss')
    (seen, keep), (shown, places) = asked
    assert torch.equal(keep, places) and torch.equal(seen, shown)
    visible = torch.zeros(2, 16, dtype=torch.bool).scatter(1, keep, True).view_as(mask)
    assert torch.equal(visible, ~mask) and keep.shape == (2, 4)
    hidden = mask[:, None].repeat_interleave(8, 2).repeat_interleave(8, 3)
    blind = model(torch.where(hidden, torch.rand_like(image), image), mask, mode='loss')
    assert torch.equal(blind['loss_relations'], losses['loss_relations'])
    assert not torch.equal(blind['loss_rec'], losses['loss_rec'])


def test_by_hand() -> None:
    """One pair of tokens, two heads (1, 2); the teacher's three heads say (1, 0, -1).

    W maps (1, 2) to (1*1 + 0*2, 2*1 - 1*2, 0*1 + 1*2) = (1, 0, 2): the errors are 0, 0 and 9.
    """
    adapter = Adapter(2, 3)
    adapter.weight.data = torch.tensor([[1.0, 0], [2, -1], [0, 1]])[..., None]
    part = method('DMAE').distill[0]
    part.adapter, part.weight = adapter, 0.5
    said, wanted = torch.tensor([1.0, 2]).view(1, 2, 1, 1), torch.tensor([1.0, 0, -1])
    assert part(said, wanted.view(1, 3, 1, 1)) == 0.5 * 9 / 3


def test_a_student_that_is_its_teacher_has_nothing_to_learn() -> None:
    hidden = {'target': {'type': 'HiddenTarget', 'block': -1}, 'student': -1, 'adapter': False}
    model = method('DMAE', distill=[{**LAST, 'adapter': False}, hidden],
                   teacher={**TEACHER, 'backbone': MAE_VIT})  # fmt: skip
    model.backbone.load_state_dict(model.distill[0].target.frozen.net.net.state_dict())
    losses = model(*batch(), mode='loss')
    assert losses['loss_relations'] == losses['loss_features'] == 0 < losses['loss_rec']
    model.backbone.blocks[-1].attn.qkv.weight.data *= 1.1
    assert model(*batch(), mode='loss')['loss_relations'] > 0


def test_other_depth_width_and_heads_and_terms_of_a_kind_add_up() -> None:
    one = {'target': {'type': 'RelationTarget', 'block': 3}, 'student': 1}
    other = {'target': {'type': 'RelationTarget', 'block': 1}, 'student': 0, 'weight': 0.25}
    model = method('DMAE', teacher=BIG, distill=[one, other])
    image, mask = batch()
    both = model(image, mask, mode='loss')
    assert both.keys() == {'loss_rec', 'loss_relations'}
    total = 0
    for part in model.distill:
        keep = (~mask).flatten(1).nonzero()[:, 1].view(2, -1)
        x = model.backbone.block_inputs(model.normalise(image), (part.place,), keep=keep)[0]
        said = model.backbone.attention_logits(model.backbone.blocks[part.place], x, (4, 4), keep)
        wanted = part.target(image, keep).values
        mixed = torch.einsum('ts,bsnm->btnm', part.adapter.weight[..., 0], said)
        total = total + part.weight * (mixed - wanted).square().mean()
    torch.testing.assert_close(both['loss_relations'], total)


def test_relations_are_float32_under_autocast() -> None:
    model, (image, mask) = method('DMAE', teacher=BIG), batch()
    exact = model(image, mask, mode='loss')['loss_relations']
    with torch.autocast('cpu', torch.bfloat16):
        found = model(image, mask, mode='loss')['loss_relations']
        part = model.distill[0]
        keep = (~mask).flatten(1).nonzero()[:, 1].view(2, -1)
        assert part.target(image, keep).values.dtype == torch.float32
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, rtol=0.05, atol=0)


def test_what_is_decoded_early_leaves_later_blocks_to_the_teacher() -> None:
    model = method('DMAE', **D2)
    losses = model(*batch(), mode='loss')
    losses['loss_rec'].backward(retain_graph=True)
    later = [*model.backbone.blocks[1].parameters(), *model.distill.parameters()]
    assert all(p.grad is None for p in later)
    losses['loss_relations'].backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_decoupled_training_saves_a_whole_backbone_that_reconstructs_alone(tmp_path) -> None:
    images = write_blobs(tmp_path / 'images')
    config = {'type': 'DMAE', 'backbone': MAE_VIT, 'decoder': MAE_DECODER, 'teacher': BIG, **D2}
    runner = build_runner(recipe(config, images, tmp_path / 'run'))
    runner.train()
    path = tmp_path / 'run' / 'epoch_2.pth'
    saved = torch.load(path, weights_only=False)['state_dict']
    beside = {key.removeprefix('distill.0.') for key in saved if key.startswith('distill')}
    assert beside == {
        'adapter.weight', 'extra_block.norm1.weight', 'extra_block.norm1.bias',
        'extra_block.attn.qkv.weight', 'extra_block.attn.qkv.bias', 'target.fingerprint',
    }  # fmt: skip
    backbone, report = from_checkpoint(path)
    assert len(backbone.blocks) == ARCH['depth'] and report.missing == report.unexpected == []
    loaded, _, missing = load_method(path)
    image, mask = batch()
    assert missing == [] and isinstance(loaded, DMAE) and not loaded.distill
    assert torch.equal(loaded.predict(image, mask), runner.model.eval().predict(image, mask))
    with pytest.raises(UserError, match='no teacher to learn from; give model'):
        loaded(image, mask, mode='loss')


def test_it_learns_what_its_teacher_relates() -> None:
    model, (image, mask) = method('DMAE', teacher=BIG), batch(4)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    course = []
    for _ in range(40):
        losses = model(image, mask, mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        course.append(losses['loss_relations'].item())
    assert course[-1] < 0.3 * course[0]


def test_the_teacher_s_file_is_logged_and_its_net_saved_nowhere(tmp_path) -> None:
    folder = tmp_path / 'run'
    images = write_blobs(tmp_path / 'images')
    build_runner(recipe({'type': 'MAE', 'backbone': MAE_VIT, 'decoder': MAE_DECODER}, images,
                        folder, epochs=1)).train()  # fmt: skip
    file = str(folder / 'epoch_1.pth')
    model = method('DMAE', teacher={'type': 'BackboneTeacher', 'checkpoint': file})
    assert model.distill[0].target.files == (file,)
    assert not any('teacher' in key or 'net' in key for key in model.state_dict())
    lines = []
    runner = type('Runner', (), {
        'model': model, 'logger': type('Logger', (), {'info': staticmethod(lines.append)}),
    })  # fmt: skip
    MethodRecord().before_run(runner)
    assert len(lines) == 1 and file in lines[0]
    trained = from_checkpoint(file)[0].state_dict()
    net = model.distill[0].target.frozen.net.net
    assert all(torch.equal(value, trained[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize(('changes', 'message'), [
    ({'teacher': {'type': 'BackboneTeacher', 'checkpoint': None}},
     r'no weights; it wants .* Set model\.teacher\.checkpoint=FILE, or model\.teacher\.random'),
    ({'teacher': {'type': 'TimmTeacher', 'checkpoint': 'timm:resnet10t'}},
     'TimmTeacher is no BackboneTeacher, whose blocks can be read'),
    ({'teacher': {**TEACHER, 'backbone': {'type': 'mim_backbones.MIMHiera'}}},
     'the teacher is a MIMHiera, no MIMViT'),
    ({'teacher': {**TEACHER, 'backbone': {**MAE_VIT, 'rel_pos_bias': 'shared'}}},
     'no windows or relative positions'),
    ({'teacher': {**TEACHER, 'backbone': {**MAE_VIT, 'patch_size': 16}}},
     'at 32 px gives a 2x2 grid, MIMViT has 4x4 tokens; both have to divide'),
    ({'teacher': {**TEACHER, 'backbone': {**MAE_VIT, 'cls_token': False}}},
     'the teacher has 0 CLS and register tokens, the student 1; give the backbone the same'),
    ({'teacher': BIG, 'distill': [{**LAST, 'adapter': False}]},
     'the student has 2 and the teacher 3 channels of relations; adapter=True'),
    ({'decode_from': 0}, 'block 1 or later ones, which would learn nothing; leave out decode_from'),
    ({'distill': [{'target': {'type': 'HiddenTarget'}, 'extra_block': True}]},
     'an extra block has relations only, no features'),
    ({'decode_from': 7}, 'decode_from=7 of 2 blocks'),
    ({'distill': []}, 'distill is empty; give a distillation, or take MAE'),
    ({'distill': [{**LAST, 'student': 2}]}, 'RelationTarget: block 2 of 2'),
])  # fmt: skip
def test_what_does_not_fit_is_refused_when_the_model_is_built(changes, message: str) -> None:
    with pytest.raises((ValueError, UserError), match=message) as error:
        method('DMAE', **changes)
    assert '\n' not in str(error.value)
