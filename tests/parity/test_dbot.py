"""dBOT: loss from given features, the whole model, the end of a stage, the rates of the stages."""

from fractions import Fraction
from itertools import pairwise
from math import lcm
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mim_backbones import load_pretrained
from mim_backbones.training.schedules import WarmupCosineLR
from pretrain.losses import smooth_l1
from pretrain.methods.dbot import DBOT
from pretrain.methods.load import load_method
from pretrain.targets.base import Progress
from pretrain.targets.bootstrap import NORMS
from tests.parity.conftest import VIT_EPS

FAMILY = 'dbot'
AS_IT_IS = {'mean': (0.0,), 'std': (1.0,)}  # the file's images are normalised already


def own_name(name: str) -> str:
    (found,) = DBOT.own_names({name: torch.zeros(0)}) or [f'backbone.{name}']
    return found


def norm_of(case: dict[str, Any]) -> str:
    return 'layer' if case['norm_feature_loss'] else 'none'


# ------------------------------------------------------------------ from given features


def loss_cases(content: dict[str, Any]) -> list[str]:
    return list(content.get('loss_cases', {}))


@pytest.mark.golden(FAMILY, needs=['loss_cases'], each=loss_cases)
def test_loss_from_given_features(golden, field, same) -> None:
    case, pred = golden['loss_cases'][field], golden['pred'].clone().requires_grad_()
    target = NORMS[norm_of(case)](golden['teacher_features'].transpose(1, 2)).transpose(1, 2)
    same(f'{field} target_used', target, case['target_used'])
    counted = case['mask'].bool()
    loss = smooth_l1(pred[counted], target[counted], beta=2.0).mean()
    same(f'{field} loss', loss, case['loss'], atol=1e-6)
    loss.backward()
    same(f'{field} grad_pred', pred.grad, case['grad_pred'], atol=1e-6)


# ------------------------------------------------------------------ the whole model


@pytest.fixture
def model(golden):
    """model(**target): the file's student, and its teacher of as many blocks as it has."""

    def build(**target: Any) -> DBOT:
        config, teacher = golden['config']['student'], golden['config']['teacher']
        common = {
            'mlp_ratio': config.get('mlp_ratio', 4.0),
            'norm_eps': config.get('norm_eps', VIT_EPS),
        }
        model = DBOT(
            {
                'type': 'mim_backbones.MIMViT',
                'arch': {key: config[key] for key in ('embed_dim', 'depth', 'num_heads')},
                'img_size': config['img_size'],
                'patch_size': config['patch_size'],
                'in_channels': config.get('in_chans', 3),
                'pos_embed': 'sincos',
                **common,
            },
            {'type': 'BootstrapTarget', 'first_depth': teacher['depth'], **target},
            {
                'type': 'MAEDecoder',
                'embed_dim': config['decoder_embed_dim'],
                'depth': config['decoder_depth'],
                'num_heads': config['decoder_num_heads'],
                **common,
            },
            **AS_IT_IS,
        )
        load_student(model, golden['student_state_dict'])
        load_teacher(model, golden['teacher_state_dict'])
        return model.eval()

    return build


def load_student(model: DBOT, state: dict[str, Tensor]) -> None:
    """Its fixed tables are ours."""
    drawn = model.backbone.pos_embed.clone(), model.decoder.pos_embed.clone()
    report = load_pretrained(model.backbone, state)
    assert report.missing == report.unexpected == []
    own = DBOT.own_names(state)
    model.decoder.load_state_dict({k.removeprefix('decoder.'): v for k, v in own.items()})
    for ours, theirs in zip(drawn, (model.backbone, model.decoder), strict=True):
        torch.testing.assert_close(ours, theirs.pos_embed, atol=1e-6, rtol=0)


def load_teacher(model: DBOT, state: dict[str, Tensor]) -> None:
    """Of fewer blocks than the student perhaps: those behind do not run."""
    found = model.target.teacher_model.load_state_dict(state, strict=False)
    assert not found.unexpected_keys
    depth = model.target.depth
    assert all(int(name.split('.')[1]) >= depth for name in found.missing_keys)


def forward_cases(content: dict[str, Any]) -> list[str]:
    return list(content.get('forward_cases', {}))


@pytest.mark.golden(FAMILY, needs=['forward_cases'], each=forward_cases)
def test_the_whole_model(golden, field, same, model) -> None:
    case, image = golden['forward_cases'][field], golden['image']
    whole = model(norm=norm_of(case), final_norm=bool(case['tlayernorm']))
    order = golden['noise'].argsort(dim=1)
    same(f'{field} ids_restore', order.argsort(dim=1), case['ids_restore'], atol=0)
    kept = int(order.shape[1] * (1 - golden['config']['mask_ratio']))
    mask = torch.ones(order.shape).scatter(1, order[:, :kept], 0.0)
    same(f'{field} mask_with_cls', mask, case['mask_with_cls'][:, 1:], atol=0)
    latent = whole.backbone.forward_visible(image, keep=order[:, :kept])
    same(f'{field} latent', latent, case['latent'])
    keep, hidden = order[:, :kept], order[:, kept:]
    cls = whole.decoder(latent, keep, hidden, with_cls=True)[:, :1]
    pred = torch.cat([cls, whole.decoder.everywhere(latent, keep, hidden)], dim=1)
    same(f'{field} pred', pred, case['pred'])
    teacher = whole.target.teacher_model
    (tokens,) = teacher.block_inputs(image, (whole.target.depth,))
    tokens = teacher.norm(tokens) if case['tlayernorm'] else tokens
    same(f'{field} teacher_features', tokens, case['teacher_features'])
    mask = mask.bool().view(-1, *whole.backbone.grid)
    loss = whole(image, mask, mode='loss')['loss']
    same(f'{field} loss', loss, case['loss'], atol=1e-6)
    loss.backward()
    for name, gradient in case['grads'].items():
        found = whole.get_parameter(own_name(name)).grad
        assert (found - gradient).norm() <= 1e-4 * gradient.norm() + 1e-8, name


@pytest.mark.golden(FAMILY, needs=['forward_cases'], each=forward_cases)
def test_a_released_file_is_read_as_it_is(golden, field, same, tmp_path) -> None:
    config, case = golden['config']['student'], golden['forward_cases'][field]
    torch.save({'model': golden['student_state_dict']}, tmp_path / 'dbot.pth')
    options = {'decoder_heads': config['decoder_num_heads']}
    backbone = {key: config[key] for key in ('num_heads', 'norm_eps') if key in config}
    found = load_method(tmp_path / 'dbot.pth', backbone=backbone, options=options)
    assert found.missing == [] and type(found.model) is DBOT
    found.model.normalise = nn.Identity()  # the file's images are normalised already
    mask = case['mask_with_cls'][:, 1:].bool().view(-1, *found.model.backbone.grid)
    pred = found.model.predict(golden['image'], mask).flatten(2).transpose(1, 2)
    same(f'{field} pred', pred, case['pred'][:, 1:])


# ------------------------------------------------------------------ the end of a stage


@pytest.mark.golden(FAMILY, needs=['stage_boundary'])
def test_the_end_of_a_stage(golden, model) -> None:
    case, whole = golden['stage_boundary'], model()
    learnt = {name for name, p in whole.named_parameters() if p.requires_grad}
    assert learnt == {own_name(name) for name in case['trainable']}
    before = {name: value.clone() for name, value in whole.state_dict().items()}
    whole.target.update(whole, Progress(1, 2, 1))
    after = whole.state_dict()
    # The teacher takes all of the backbone and nothing else of the student.
    teacher = dict(whole.target.teacher_model.state_dict())
    assert not case['teacher_missing_keys']
    taken = {own_name(k) for k in golden['student_state_dict']} - {
        own_name(k) for k in case['teacher_unexpected_keys']
    }
    assert {f'backbone.{name}' for name in teacher} == taken
    assert all(torch.equal(value, before[f'backbone.{k}']) for k, value in teacher.items())
    kept, random = ({own_name(n) for n in case[f'student_keys_{k}']} for k in ('kept', 'random'))
    constant = {own_name(name): value for name, value in case['student_keys_constant'].items()}
    assert kept | random | constant.keys() == {n for n in before if not n.startswith('target.')}
    assert all(torch.equal(before[name], after[name]) for name in kept)
    assert all((after[name] == value).all() for name, value in constant.items())
    for name in random:
        assert (after[name] != before[name]).float().mean() > 0.9, name


# ------------------------------------------------------------------ rates


@pytest.mark.golden(FAMILY, needs=['stage_lr'])
def test_the_rates_of_the_stages(golden) -> None:
    """A schedule for each stage, as the recipes have them."""
    case = golden['stage_lr']
    # Iterations, so that the file's parts of epochs are whole ones.
    parts = [Fraction(epoch).limit_denominator(1000) for epoch in case['at_epochs']]
    per_epoch = lcm(*(part.denominator for part in parts))
    ends = case['stage_epochs']
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=case['lr'])
    schedules = [
        WarmupCosineLR.build_iter_from_epoch(
            optimizer, warmup=case['warmup_epochs'], min_ratio=case['min_lr'] / case['lr'],
            begin=begin, end=end, epoch_length=per_epoch,
        )
        for begin, end in pairwise(ends)
    ]  # fmt: skip
    rates = []
    for _ in range(ends[-1] * per_epoch):
        rates.append(optimizer.param_groups[0]['lr'])
        for schedule in schedules:
            schedule.step()
    for epoch, expected in zip(parts, case['lr_values'], strict=True):
        assert abs(rates[int(epoch * per_epoch)] - expected) < 1e-9 * case['lr'], epoch
