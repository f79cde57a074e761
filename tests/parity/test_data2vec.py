"""data2vec: targets, losses and gradients, the slow copy over a run, its decay."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mim_backbones import load_pretrained
from pretrain.losses import l2, smooth_l1
from pretrain.methods.data2vec import Data2Vec, mean_over, spread
from pretrain.targets.base import Progress, Student
from pretrain.targets.ema_blocks import EMABlocks
from pretrain.targets.momentum import follow
from tests.parity.conftest import VIT_EPS

FAMILY = 'data2vec'
AS_IT_IS = {'mean': (0.0,), 'std': (1.0,)}  # the file's images are normalised already
OFF = -1.0  # of loss_scale
STAYS = 1.0  # our decay where the file says -1: not updated


def target_options(options: dict[str, Any]) -> dict[str, Any]:
    """Ours of an `EMABlocks`, from the released arguments."""
    named = {
        'block_norms': ('target_batch_norm', 'target_instance_norm', 'target_layer_norm_last'),
        'norms': (None, 'post_target_instance_norm', 'post_target_layer_norm'),
    }
    chosen = {
        ours: [
            name
            for name, theirs in zip(('batch', 'instance', 'layer'), group, strict=True)
            if theirs and options[theirs]
        ]
        for ours, group in named.items()
    }
    return {'blocks': options['target_layers'], 'readout': options['layer_results'], **chosen}


def loss_options(options: dict[str, Any]) -> dict[str, Any]:
    """Ours of a `Data2Vec`."""
    scale = options['loss_scale']
    return {
        'loss': 'l2' if options['l2_loss'] else 'smooth_l1',
        'beta': options['l1_beta'],
        'spread_weight': options['var_w0'],
        'spread_margin': options['var_margin0'],
        'loss_scale': 1.0 if scale == OFF else scale,
    }


def masked(maps: Tensor, mask: Tensor) -> Tensor:
    """(B, D, h, w) -> (M, D) of the masked positions, image by image."""
    return maps.movedim(1, -1)[mask.bool()]


def maps_of(tokens: Tensor, mask: Tensor) -> Tensor:
    """(B, T, D) -> (B, D, h, w)."""
    return tokens.transpose(1, 2).unflatten(2, mask.shape[1:])


def vit_config(config: dict[str, Any]) -> dict[str, Any]:
    shared, own = config.get('use_shared_rel_pos_bias'), config.get('use_rel_pos_bias')
    return {
        'type': 'mim_backbones.MIMViT',
        'arch': {key: config[key] for key in ('embed_dim', 'depth', 'num_heads')},
        'img_size': config['img_size'],
        'patch_size': config['patch_size'],
        'in_channels': config.get('in_chans', 3),
        'pos_embed': 'learned' if config.get('use_abs_pos_emb') else 'none',
        'rel_pos_bias': 'per_block' if own else 'shared' if shared else 'none',
        'qkv_bias': 'qv' if config.get('qkv_bias', True) else 'none',
        'layer_scale': config.get('init_values') or None,
        'mlp_ratio': config.get('mlp_ratio', 4.0),
        'norm_eps': config.get('norm_eps', VIT_EPS),
        'mask_token': True,
    }


@pytest.fixture
def whole(golden):
    """whole(part, state, **target): a Data2Vec as the file's part says, with weights of the student
    in both backbones."""

    def build(part: str, state: dict[str, Tensor], **target: Any) -> Data2Vec:
        options = golden[part]['options']
        given = vit_config(golden['config'][part])
        model = Data2Vec(
            given,
            {'type': 'EMABlocks', **target_options(options), **target},
            **loss_options(options),
            **AS_IT_IS,
        ).train()
        load(model.backbone, state)
        load_head(model.lm_head, state)
        model.target.start(model)
        return model

    return build


def load(backbone: nn.Module, state: dict[str, Tensor]) -> None:
    report = load_pretrained(backbone, state)
    assert report.missing == report.unexpected == report.fresh == []


def load_head(head: nn.Linear, state: dict[str, Tensor]) -> None:
    names = ('weight', 'bias')
    head.load_state_dict({name: state[f'lm_head.{name}'] for name in names})


def own_name(name: str) -> str:
    """Ours of a parameter of the student."""
    table = '.relative_position_bias_table'
    name = name.replace(f'.attn{table}', f'.rel_pos_bias{table}')
    return name if name.startswith('lm_head') else f'backbone.{name}'


# ------------------------------------------------------------------ from given features


def target_cases(content: dict[str, Any]) -> list[str]:
    return list(content.get('target_cases', {}))


@pytest.mark.golden(FAMILY, needs=['target_cases'], each=target_cases)
def test_targets_and_loss_from_given_features(golden, field, same) -> None:
    case, mask = golden['target_cases'][field], golden['mask']
    options = case['options']
    target = EMABlocks(**target_options(options))
    target.bind(Student('', tuple(mask.shape[1:]), 1))
    outputs = golden['teacher_block_outputs']
    found = target.averaged([maps_of(outputs[block], mask) for block in target.blocks])
    same(f'{field} targets', masked(found, mask), case['targets'])
    student = golden['student_outputs'].clone().requires_grad_()
    pred = torch.full_like(found, 100.0)  # what is visible does not count
    pred = pred.movedim(1, -1).masked_scatter(mask.bool()[..., None], student).movedim(-1, 1)
    given = loss_options(options)
    error = l2(pred, found) if given['loss'] == 'l2' else smooth_l1(pred, found, given['beta'])
    hidden = mask.bool()[:, None]
    loss = mean_over(error, hidden).mean()
    short = (given['spread_margin'] - spread(pred, hidden)).relu()
    loss = given['loss_scale'] * (loss + given['spread_weight'] * short.mean())
    same(f'{field} loss', loss, case['loss'], atol=1e-6)
    loss.backward()
    same(f'{field} grad', student.grad, case['grad_student_outputs'], atol=1e-6)


# ------------------------------------------------------------------ the whole model


@pytest.fixture
def model(golden, whole):
    """The file's student and teacher, both as their weights say."""
    part = golden['model']
    model = whole('model', part['student_state_dict'])
    load(model.target.momentum_encoder, part['teacher_state_dict'])
    return model


@pytest.mark.golden(FAMILY, needs=['model'])
def test_block_outputs(golden, same, model) -> None:
    part, vit = golden['model'], model.target.momentum_encoder
    for readout, read in (('end', vit.block_tokens), ('fc', vit.mlp_branches)):
        found = read(part['image'], range(vit.depth))
        for block, tokens in enumerate(found):
            expected = part[f'teacher_block_outputs_{readout}'][block]
            same(f'{readout} {block}', tokens[:, vit.num_prefix :], expected)


@pytest.mark.golden(FAMILY, needs=['model'])
def test_targets_predictions_loss_and_gradients(golden, same, model) -> None:
    part = golden['model']
    image, mask = part['image'], part['mask'].bool()
    same('targets', masked(model.target(image).values, mask), part['targets'])
    pred = model.predict(image, mask)
    same('student_all_tokens', pred.flatten(2).transpose(1, 2), part['student_all_tokens'])
    same('student_masked', masked(pred, mask), part['student_masked'])
    loss = model(image, mask, mode='loss')['loss']
    same('loss', loss, part['loss'], atol=1e-6)
    loss.backward()
    for name, gradient in part['grads'].items():
        found = model.get_parameter(own_name(name)).grad
        assert (found - gradient).norm() <= 1e-4 * gradient.norm() + 1e-8, name


@pytest.mark.golden(FAMILY, needs=['model'])
def test_the_mlp_branch_as_the_target(golden, same, whole) -> None:
    """The file has no target of it: averaged by hand from the outputs it has."""
    part = golden['model']
    model = whole('model', part['teacher_state_dict'], readout='fc', block_norms=(), norms=())
    outputs = [part['teacher_block_outputs_fc'][b] for b in model.target.blocks]
    found = model.target(part['image']).values.flatten(2).transpose(1, 2)
    same('mean of fc', found, torch.stack(outputs).mean(0))


# ------------------------------------------------------------------ over a run


@pytest.mark.golden(FAMILY, needs=['ema_run'])
def test_the_slow_copy_over_a_run(golden, same, whole) -> None:
    run = golden['ema_run']
    schedule, state = run['schedule'], run['initial_state_dict']
    model = whole(
        'ema_run', state, decay=schedule['ema_decay'], start_decay=schedule['ema_decay_init'],
        anneal_steps=schedule['ema_start_at'],
    )  # fmt: skip
    slow_head = nn.Linear(*model.lm_head.weight.shape)  # of no use to a target, but in the file
    load_head(slow_head, state)
    learnt = [p for p in model.parameters() if p.requires_grad]
    assert schedule['optimizer'] == 'sgd'
    optimizer = torch.optim.SGD(learnt, lr=schedule['lr'])
    per_epoch, steps = schedule['steps_per_epoch'], len(run['losses'])
    for step in range(steps):
        decay = model.target.decay_at(step, per_epoch)
        assert abs(decay - run['decays'][step]) < 1e-12
        loss = model(run['images'][step], run['masks'][step].bool(), mode='loss')['loss']
        same(f'step {step} loss', loss, run['losses'][step])
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(learnt, schedule['clip_grad'])
        same(f'step {step} norm', norm, run['grad_norms'][step])
        optimizer.step()
        model.target.update(model, Progress(step + 1, steps, per_epoch))
        follow(slow_head, model.lm_head, decay)
        for name, value in run['student_after'][step].items():
            same(f'step {step} student {name}', model.get_parameter(own_name(name)), value)
        for name, value in run['teacher_after'][step].items():
            own = own_name(name)
            slow = slow_head if own.startswith('lm_head') else model.target.momentum_encoder
            found = slow.get_parameter(own.removeprefix('lm_head.').removeprefix('backbone.'))
            same(f'step {step} teacher {name}', found, value)


def schedules(content: dict[str, Any]) -> list[str]:
    return list(content.get('decay_schedules', {}))


@pytest.mark.golden(FAMILY, needs=['decay_schedules'], each=schedules)
def test_decays(golden, field) -> None:
    case = golden['decay_schedules'][field]
    last = case['start_lr_decay_at_step']
    target = EMABlocks(
        decay=case['ema_decay'], start_decay=case['ema_decay_init'],
        anneal_steps=case['ema_start_at'], last_step=None if last < 0 else last,
    )  # fmt: skip
    assert len(case['decays']) == case['epochs'] * case['steps_per_epoch']
    for step, expected in enumerate(case['decays']):
        found = target.decay_at(step, case['steps_per_epoch'])
        assert abs(found - (STAYS if expected == -1 else expected)) < 1e-12, step


@pytest.mark.golden(FAMILY, needs=['index_buffer_after_ema'])
def test_tables_of_indices_stay_what_they_are(golden) -> None:
    """The released average of integers is cut: at some decays they end one too low. Ours copies."""
    case = golden['index_buffer_after_ema']
    index = torch.stack(list(case['after'].values())).amax(0)  # as it was: what is cut is lower

    class Student(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))
            self.register_buffer('index', index.clone())

    for decay in case['after']:
        target, student = EMABlocks(decay=float(decay)), nn.Module()
        student.backbone, target.momentum_encoder = Student(), Student()
        for step in range(case['updates']):
            target.update(student, Progress(step + 1, case['updates'], 1))
        assert torch.equal(target.momentum_encoder.index, index)
