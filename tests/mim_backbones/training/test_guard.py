"""Every training stops at what is not finite, with the last good checkpoint to go on from."""

import pytest
import torch

from mim_backbones.errors import UserError
from mim_backbones.training.guard import FiniteLoss, finite
from tests.mim_backbones.training.line import SoakLine, line_runner


def test_a_recipe_that_says_nothing_is_watched_and_one_that_says_it_is_watched_once(
    tmp_path,
) -> None:
    for words, interval in (({}, 10), ({'custom_hooks': [{'type': 'mim_backbones.FiniteLoss',
                                                          'interval': 3}]}, 3)):  # fmt: skip
        (hook,) = (h for h in line_runner(tmp_path, **words).hooks if isinstance(h, FiniteLoss))
        assert hook.interval == interval


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path, monkeypatch) -> None:
    own = SoakLine.forward
    monkeypatch.setattr(SoakLine, 'forward', lambda self, inputs, mode: {
        'loss': own(self, inputs, mode)['loss'] * float('nan')})  # fmt: skip
    with pytest.raises(UserError, match=r'loss is .*nan.* at iteration 10; resume from the last'):
        line_runner(tmp_path, train_cfg={'by_epoch': True, 'max_epochs': 9}, default_hooks={
            'logger': None, 'checkpoint': None}).train()  # fmt: skip


def test_broken_weights_are_not_saved(tmp_path) -> None:
    runner = line_runner(tmp_path)
    runner.model.register_buffer('mask', torch.tensor(float('-inf')))  # meant so
    runner.train()
    assert (tmp_path / 'epoch_2.pth').is_file()
    runner = line_runner(tmp_path / 'b', optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 1e38}})
    with pytest.raises(UserError, match=r'is not finite after .* no checkpoint is written'):
        runner.train()
    assert not list((tmp_path / 'b').glob('*.pth'))


@pytest.mark.parametrize(('value', 'answer'), [
    (1.0, True), (float('nan'), False), (torch.tensor(float('inf')), False), ([1.0, 2.0], True),
    ([1.0, float('nan')], False), ('text', True), (torch.ones(2, dtype=torch.long), True),
])  # fmt: skip
def test_what_finite_is(value, answer: bool) -> None:
    assert finite(value) is answer
