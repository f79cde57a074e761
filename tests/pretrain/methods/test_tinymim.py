"""TinyMIM: its loss by numpy and by hand, what learns, who sees which colours."""

import numpy as np
import pytest
import torch

from mim_backbones.errors import UserError
from mim_backbones.training.launch import build_runner
from pretrain.losses import divergence
from pretrain.methods.tinymim import TinyMIM
from tests.pretrain.small import (
    ARCH,
    MAE_VIT,
    RELATIONS,
    SWIN,
    TEACHER,
    VIT,
    method,
    recipe,
    write_blobs,
)
from tests.pretrain.targets.test_token_relations import by_numpy

BIG = {**MAE_VIT, 'arch': {'embed_dim': 48, 'depth': 3, 'num_heads': 8}}
OF_BIG = {**RELATIONS, 'block': 1, 'teacher': {**TEACHER, 'backbone': BIG}}


def test_by_hand() -> None:
    """KL((1/2, 1/2) || (1/4, 3/4)) = log 2 / 2 + log(2/3) / 2 = log(4/3) / 2."""
    logits = torch.tensor([0.0, np.log(3)])
    found = divergence(logits, torch.tensor([0.5, 0.5]))
    assert found.item() == pytest.approx(0.5 * np.log(4 / 3))
    assert divergence(logits, torch.tensor([0.25, 0.75])).item() == pytest.approx(0, abs=1e-7)
    certain = divergence(logits, torch.tensor([0.0, 1.0]))  # 0 log 0 = 0
    assert certain.item() == pytest.approx(np.log(4 / 3))


def test_loss_by_numpy_with_more_heads_than_its_own() -> None:
    """The student of 2 heads and 32 channels, cut into the teacher's 8."""
    model, image = method('TinyMIM', target=OF_BIG).eval(), torch.rand(2, 3, 32, 32)
    losses = model(image, mode='loss')
    assert losses.keys() == {'loss_qk', 'loss_vv'}
    teacher = model.target.frozen.net
    (seen,) = teacher.net.block_inputs(teacher.prepare(image), (1,))
    tokens = model(image)
    assert tokens.shape == (2, 17, 32)
    for pair in ('qk', 'vv'):
        terms = []
        for b in range(2):
            p = by_numpy(teacher.net.blocks[1], seen[b], pair, 8)
            q = by_numpy(model.backbone.blocks[-1], tokens[b].detach(), pair, 8)
            terms.append((p * np.log(p / q)).sum(-1).mean())
        assert losses[f'loss_{pair}'].item() == pytest.approx(np.mean(terms), rel=1e-4)


def test_a_student_that_is_its_teacher_has_nothing_to_learn() -> None:
    model = method('TinyMIM', backbone=BIG, target={**OF_BIG, 'block': -1}).eval()
    model.backbone.load_state_dict(model.target.frozen.net.net.state_dict())
    losses = model(torch.rand(2, 3, 32, 32), mode='loss')
    assert all(value.abs() < 1e-6 for value in losses.values())
    model.backbone.blocks[-1].attn.qkv.weight.data *= 1.5
    changed = model(torch.rand(2, 3, 32, 32), mode='loss')
    assert all(value > 1e-5 for value in changed.values())


def test_all_that_is_trained_has_a_gradient_and_what_lies_behind_is_not() -> None:
    for bias in ('joint', 'qv'):
        model = method('TinyMIM', backbone={**MAE_VIT, 'qkv_bias': bias, 'layer_scale': 0.1})
        sum(model(torch.rand(2, 3, 32, 32), mode='loss').values()).backward()
        learnt = {k for k, p in model.named_parameters() if p.requires_grad}
        assert learnt == {k for k, p in model.named_parameters() if p.grad is not None}
        last = f'backbone.blocks.{ARCH["depth"] - 1}.'
        of_last = {k.removeprefix(last) for k in learnt if k.startswith(last)}
        biases = {'joint': {'attn.qkv.bias'}, 'qv': {'attn.q_bias', 'attn.v_bias'}}[bias]
        assert of_last == {'norm1.weight', 'norm1.bias', 'attn.qkv.weight', *biases}
        assert not any(k.startswith('backbone.norm.') for k in learnt)
        first = last.replace('.1.', '.0.')
        assert {f'{first}mlp.fc2.weight', f'{first}attn.proj.weight'} <= learnt


def test_the_teacher_sees_colours_as_they_are(tmp_path, monkeypatch) -> None:
    """From the data set to the loss: jittered for the student alone."""
    images, seen = write_blobs(tmp_path / 'images'), {}
    model = {'type': 'TinyMIM', 'backbone': MAE_VIT, 'target': RELATIONS}
    config = recipe(model, images, tmp_path / 'run', epochs=1, jitter=0.4, jitter_target=False)
    loss = TinyMIM.forward
    monkeypatch.setattr(TinyMIM, 'forward', lambda self, mode='tensor', **batch: (
        seen.update(batch) or loss(self, mode=mode, **batch)
    ))  # fmt: skip
    runner = build_runner(config)
    runner.train()
    own = runner.model
    student, teacher = seen['image'], seen['target_image']
    assert student.shape == teacher.shape and not torch.equal(student, teacher)
    # The same crop: other colours, the same places.
    both = torch.stack([student.mean(1).flatten(1), teacher.mean(1).flatten(1)])
    assert min(np.corrcoef(pair.numpy())[0, 1] for pair in both.unbind(1)) > 0.8
    with torch.no_grad():
        one = own(image=student, target_image=teacher, mode='loss')
        other = own.loss(student, own.target(teacher))
        wrong = own.loss(student, own.target(student))
    assert one == other and one != wrong


@pytest.mark.parametrize(('changes', 'message'), [
    ({'target': {'type': 'PixelTarget'}}, 'TinyMIM compares relations, PixelTarget gives pixels'),
    ({'backbone': SWIN}, 'TinyMIM: the backbone is a MIMSwin, no MIMViT'),
    ({'backbone': {**VIT, 'rel_pos_bias': 'shared'}}, 'TinyMIM: the backbone has windows, relat'),
    ({'backbone': {**MAE_VIT, 'cls_token': False}}, 'the teacher has 1 CLS and register tokens, '
     'the student 0; give the backbone the same'),
    ({'target': {**RELATIONS, 'heads': 24, 'teacher': {**TEACHER, 'backbone': BIG}}},
     '24 heads do not divide the 32 channels of the student; change model.target.heads'),
])  # fmt: skip
def test_what_does_not_fit_is_refused_when_the_model_is_built(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        method('TinyMIM', **changes)
    assert '\n' not in str(error.value)


def test_a_masker_is_refused() -> None:
    image, mask = torch.rand(1, 3, 32, 32), torch.ones(1, 4, 4, dtype=torch.bool)
    with pytest.raises(UserError, match=r'hides nothing; give train_dataloader.dataset.masker=No'):
        method('TinyMIM')(image, mask, mode='loss')


def test_a_student_learns_its_teacher_s_relations() -> None:
    model, image = method('TinyMIM', target=OF_BIG), torch.rand(4, 3, 32, 32)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 3e-3)
    found = []
    for _ in range(60):
        optimizer.zero_grad()
        losses = model(image, mode='loss')
        sum(losses.values()).backward()
        optimizer.step()
        found.append({name: value.item() for name, value in losses.items()})
    assert all(found[-1][name] < 0.5 * found[0][name] for name in found[0])
