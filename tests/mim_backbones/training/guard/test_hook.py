"""What is not finite is undone once, then stops a training; it is never saved or scored."""

import copy
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from mim_backbones.errors import UserError
from mim_backbones.training.guard.hook import REWOUND, Guard
from tests.mim_backbones.training.guard.fragile import (
    EVERY_STEP,
    NAN,
    FragileLine,
    Seen,
    fragile_runner,
)
from tests.mim_backbones.training.line import line_runner, trained

KINDS = ['output', 'loss', 'gradient', 'buffer']
TWICE = {'train_cfg': {'by_epoch': True, 'max_epochs': 2}}


def guards(runner) -> list[Guard]:
    return [hook for hook in runner.hooks if isinstance(hook, Guard)]


def test_a_recipe_that_says_nothing_is_guarded_and_one_that_says_it_is_guarded_once(
    tmp_path,
) -> None:
    for words, interval in (({}, 100), ({'custom_hooks': [{'type': 'mim_backbones.Guard',
                                                          'interval': 3}]}, 3)):  # fmt: skip
        (guard,) = guards(line_runner(tmp_path, **words))
        assert guard.interval == interval
    with pytest.raises(ValueError, match='take 1 or more'):
        Guard(0)


def by_hand(start: dict, steps: list, left_out: range) -> dict:
    """Adam over the same batches and rates, without some of them."""
    model = FragileLine('none')
    model.load_state_dict(start)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for number, (batch, rate) in enumerate(steps, 1):
        if number not in left_out:
            optimizer.param_groups[0]['lr'] = rate
            optimizer.zero_grad()
            model(batch, mode='loss')['loss'].backward()
            optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize('interval', [1, 2, 3, 100])
@pytest.mark.parametrize('breaks', KINDS)
def test_once_it_goes_back_and_on_with_the_next_batch(tmp_path, breaks: str, interval: int) -> None:
    runner, seen = fragile_runner(tmp_path, breaks, interval), Seen()
    start = copy.deepcopy(runner.model.state_dict())
    runner.register_hook(seen)
    runner.train()
    (bad,) = seen.bad()
    assert 2 < bad < 5  # something was learnt before, and something after
    kept = (bad - 1) // interval * interval
    wanted = by_hand(start, seen.steps, range(kept + 1, bad + 1))
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, wanted[name]), name
    assert runner.iter == 5
    assert runner.message_hub.get_info(REWOUND) == bad
    rates = [rate for _, rate in seen.steps]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 5  # no schedule goes back


CULPRIT = {
    'output': r'; the first not to be finite is the output of middle \(Middle\); resume from',
    'loss': r'; the first not to be finite is the output of FragileLine; resume from',
    'gradient': r'; the first not to be finite is the gradient of backbone\.0\.(weight|bias); res',
    'buffer': r'iteration \d; resume from the last checkpoint with a smaller learning rate',
}


@pytest.mark.parametrize('breaks', KINDS)
def test_twice_it_stops_and_names_the_first_module(tmp_path, breaks: str) -> None:
    runner, seen = fragile_runner(tmp_path, breaks, **TWICE), Seen()
    runner.register_hook(seen)
    with pytest.raises(UserError, match=CULPRIT[breaks]) as error:
        runner.train()
    first, second = seen.bad()
    assert len(seen.steps) == second
    assert f'at iteration {second}, for the second time after iteration {first}' in str(error.value)
    assert '\n' not in str(error.value)
    if breaks != 'buffer':  # stopped before the step
        assert all(value.isfinite().all() for value in runner.model.parameters())


class Breaks(Hook):
    """Spoils a weight after some steps, as an update that overflows does."""

    priority = 'HIGHEST'

    def __init__(self, *steps: int) -> None:
        self.steps = steps

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter + 1 in self.steps:
            runner.model.head.bias.data.fill_(NAN)


def test_a_weight_that_breaks_in_the_step_itself(tmp_path) -> None:
    changes = {'train_cfg': {'by_epoch': True, 'max_epochs': 1}, 'custom_hooks': [
        {'type': 'mim_backbones.Guard', 'interval': 1}]}  # fmt: skip
    runner = line_runner(tmp_path / 'once', **changes)
    runner.register_hook(Breaks(3))
    runner.train()
    assert runner.message_hub.get_info(REWOUND) == 3
    assert (tmp_path / 'once' / 'epoch_1.pth').is_file()
    runner = line_runner(tmp_path / 'twice', **changes)
    runner.register_hook(Breaks(3, 5))
    with pytest.raises(UserError, match=r'head\.bias is not finite at iteration 5, for the second'):
        runner.train()
    assert not list((tmp_path / 'twice').glob('*.pth'))


def test_a_rate_that_is_far_too_large(tmp_path) -> None:
    """Each step leaves the numbers that there are."""
    changes = {'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 1e38}}}
    with pytest.raises(UserError, match=r'backbone\.0\.weight is not finite at iteration 2'):
        trained(tmp_path, **changes, **EVERY_STEP)
    saved = list(tmp_path.glob('*.pth'))
    assert saved
    for path in saved:
        state = torch.load(path, weights_only=False)['state_dict']
        assert all(value.isfinite().all() for value in state.values())


@pytest.mark.parametrize('changes', [
    {}, {'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.01, 'momentum': 0.9},
                           'accumulative_counts': 2, 'clip_grad': {'max_norm': 1.0}}},
    {'train_cfg': {'by_epoch': False, 'max_iters': 10}},
])  # fmt: skip
def test_without_an_incident_nothing_changes_to_the_bit(tmp_path, changes) -> None:
    guarded = trained(tmp_path / 'guarded', **changes)
    free = line_runner(tmp_path / 'free', **changes)
    free._hooks = [hook for hook in free.hooks if not isinstance(hook, Guard)]
    free.train()
    for name, value in guarded.model.state_dict().items():
        assert torch.equal(value, free.model.state_dict()[name]), name
    one, two = (runner.message_hub.state_dict()['log_scalars'] for runner in (guarded, free))
    assert one['train/loss'].data[0].tolist() == two['train/loss'].data[0].tolist()


def test_a_run_that_went_back_resumes_exactly(tmp_path) -> None:
    """From before the incident, and from after it."""
    fragile_runner(tmp_path / 'whole', 'gradient', 3, **EVERY_STEP).train()
    whole = torch.load(tmp_path / 'whole' / 'iter_5.pth', weights_only=False)
    for number in range(1, 5):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(tmp_path / 'whole' / f'iter_{number}.pth', folder)
        runner = fragile_runner(folder, 'gradient', 3, resume=True, **EVERY_STEP)
        runner.train()
        for name, value in runner.model.state_dict().items():
            assert torch.equal(value, whole['state_dict'][name]), (number, name)


def test_a_resumed_run_goes_back_no_second_time(tmp_path) -> None:
    runner, seen = fragile_runner(tmp_path, 'output', **EVERY_STEP), Seen()
    runner.register_hook(seen)
    runner.train()
    again = fragile_runner(tmp_path, 'output', resume=True, **EVERY_STEP, **TWICE)
    with pytest.raises(UserError, match=f'for the second time after iteration {seen.bad()[0]}'):
        again.train()


MICRO = {
    'auto_scale_lr': {'enable': False, 'base_batch_size': 4},
    'train_dataloader': {
        'batch_size': 2, 'num_workers': 0, 'collate_fn': {'type': 'default_collate'},
        'dataset': {'type': 'SoakNumbers', 'length': 12},
        'sampler': {'type': 'DefaultSampler', 'shuffle': True},
    },
}  # fmt: skip
PARTS = {
    'micro-batches': MICRO,
    'accumulated': {'optim_wrapper': {
        'optimizer': {'type': 'Adam', 'lr': 0.01}, 'accumulative_counts': 3}},
}  # fmt: skip


@pytest.mark.parametrize('breaks', ['output', 'gradient'])
@pytest.mark.parametrize('kind', PARTS)
def test_a_step_in_parts(tmp_path, kind: str, breaks: str) -> None:
    """The broken part is found at once, though the step may come later."""
    runner, seen = fragile_runner(tmp_path, breaks, 1, **PARTS[kind], **TWICE), Seen()
    runner.register_hook(seen)
    with pytest.raises(UserError, match=CULPRIT[breaks]) as error:
        runner.train()
    first, second = seen.bad()
    assert len(seen.steps) == second
    assert f'at iteration {second}, for the second time after iteration {first}' in str(error.value)


def test_averages_are_watched_too_and_go_back(tmp_path) -> None:
    runner = fragile_runner(tmp_path, 'output', 1)
    average = EMAHook(momentum=0.5)
    runner.register_hook(average)
    runner.train()
    assert all(value.isfinite().all() for value in average.ema_model.parameters())
    runner.save_checkpoint(str(tmp_path), 'whole.pth')
    average.ema_model.module.head.bias.data.fill_(NAN)
    with pytest.raises(UserError, match=r'^EMAHook\.ema_model\.module\.head\.bias is not finite'):
        runner.save_checkpoint(str(tmp_path), 'broken.pth')
    assert [path.name for path in Path(tmp_path).glob('*.pth')] == ['whole.pth']


def test_broken_weights_start_no_training_and_are_not_scored(tmp_path) -> None:
    runner = line_runner(tmp_path)
    runner.model.head.bias.data.fill_(NAN)
    with pytest.raises(UserError, match=r'head\.bias is not finite, so no training starts'):
        runner.train()
    for stage in ('before_test', 'before_val'):
        with pytest.raises(UserError, match=r'head\.bias is not finite, so nothing is scored'):
            runner.call_hook(stage)
    runner.model.head.bias.data.zero_()
    runner.call_hook('before_test')


@pytest.mark.parametrize('fused', [True, False])
def test_what_a_loss_scaler_skips_is_no_incident(fused: bool) -> None:
    """A scale that is too large overflows; the scaler leaves the step out and lowers it."""
    guard, weight = Guard(), torch.nn.Parameter(torch.ones(()))
    optimizer = torch.optim.Adam([weight], fused=fused)
    optimizer.register_step_pre_hook(guard._before_step)
    scaler = torch.amp.GradScaler('cpu', init_scale=1e38)
    for finite in (False, True):
        optimizer.zero_grad()
        scaler.scale(weight * (0.1 if finite else 1e3)).backward()
        assert weight.grad.isfinite() == finite
        scaler.step(optimizer)
        scaler.update()
        assert (weight != 1) == finite
        assert guard.gradients_fine


class Scaled(OptimWrapper):
    """As one of half precision, which needs a GPU."""

    loss_scaler = None


def test_half_a_batch_under_a_loss_scaler_is_left_to_the_scaler(tmp_path) -> None:
    OPTIM_WRAPPERS.register_module(name='Scaled', module=Scaled, force=True)
    for kind, at in (('OptimWrapper', 4), ('Scaled', 5)):  # the last steps, whatever waits
        runner = fragile_runner(tmp_path / kind, 'gradient', optim_wrapper={
            'type': kind, 'optimizer': {'type': 'Adam', 'lr': 0.01},
            'accumulative_counts': 10})  # fmt: skip
        runner.train()
        assert runner.message_hub.get_info(REWOUND) == at
