"""How many images a step takes on how many processes, and what the rate makes of it."""

import logging

import pytest

from mim_backbones.errors import UserError
from mim_backbones.training.steps.batch import step_batch
from tests.mim_backbones.training.line import line_runner


@pytest.mark.parametrize(('processes', 'size', 'at_once', 'parts'), [
    (8, 2, 2, 1),    # as published
    (1, 2, 2, 8),    # fewer: micro-batches
    (4, 2, 2, 2),
    (1, 16, 16, 1),
    (1, 64, 16, 1),  # not more than there are
    (16, 2, 1, 1),   # more: smaller ones
    (1, 3, 2, 8),    # the largest that divides a process's share
    (2, 5, 4, 2),
])  # fmt: skip
def test_the_published_batch_is_reached(processes, size, at_once, parts) -> None:
    found = step_batch(size, {'enable': False, 'base_batch_size': 16}, processes)
    assert (found.images, found.at_once, found.parts, found.rate) == (16, at_once, parts, 1.0)
    assert 'batch: 16 images a step' in found.as_text() and 'as published' in found.as_text()


@pytest.mark.parametrize(('processes', 'accumulated'), [(3, 1), (32, 1), (4, 3)])
def test_what_cannot_be_shared_is_refused_with_the_mend(processes, accumulated) -> None:
    with pytest.raises(UserError, match=r'batch of 16 images cannot be shared.*--auto-scale-lr'):
        step_batch(2, {'base_batch_size': 16}, processes, accumulated)


@pytest.mark.parametrize(('rule', 'batch', 'rate'), [
    ({}, 4, 0.25), ({'rule': 'linear'}, 32, 2.0), ({'rule': 'sqrt'}, 4, 0.5), ({}, 16, 1.0),
])  # fmt: skip
def test_the_rate_follows_by_the_declared_rule(rule, batch, rate) -> None:
    found = step_batch(batch // 2, {'enable': True, 'base_batch_size': 16, **rule}, 2)
    assert (found.images, found.rate) == (batch, rate)
    assert rate == 1 or f'the rate is multiplied by {rate:.4g}' in found.as_text()


def test_accumulated_iterations_count() -> None:
    found = step_batch(4, {'enable': True, 'base_batch_size': 96}, 6, accumulated=4)
    assert (found.images, found.of_iteration, found.rate) == (96, 24, 1.0)
    found = step_batch(4, {'base_batch_size': 96}, 1, accumulated=4)
    assert (found.images, found.of_iteration, found.parts) == (96, 24, 6)


def test_no_published_batch_and_an_unknown_rule() -> None:
    found = step_batch(2, None, 3)
    assert (found.images, found.rate) == (6, 1.0)
    assert 'names no published batch' in found.as_text()
    with pytest.raises(UserError, match="rule='cubic'; known: linear, sqrt"):
        step_batch(2, {'base_batch_size': 2, 'enable': True, 'rule': 'cubic'})


@pytest.mark.parametrize(('declared', 'accumulated', 'said', 'rate'), [
    ({'base_batch_size': 8}, 1, 'batch: 8 images a step (1 process x 4 micro-batches of 2)', 1),
    ({'base_batch_size': 8, 'enable': True}, 1, 'multiplied by 0.25 (linear rule)', 0.25),
    ({'base_batch_size': 8, 'enable': True, 'rule': 'sqrt'}, 1, 'by 0.5 (sqrt rule)', 0.5),
    ({'base_batch_size': 8, 'enable': True}, 4, 'so that the linear rule leaves the rate', 1),
    (None, 1, 'batch: 2 images a step (1 process x 2); the recipe names no', 1),
])  # fmt: skip
def test_a_log_line_says_which_and_the_rate_is_so(
    tmp_path, caplog, declared, accumulated, said, rate
) -> None:
    wrapper = {'optimizer': {'type': 'SGD', 'lr': 1e-4}, 'accumulative_counts': accumulated}
    runner = line_runner(
        tmp_path, auto_scale_lr=declared, optim_wrapper=wrapper, log_level='INFO',
        train_cfg={'by_epoch': True, 'max_epochs': 1},
    )  # fmt: skip
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    runner.logger.addHandler(handler)
    runner.train()
    assert sum(said in line for line in lines) == 1, lines
    assert runner.optim_wrapper.get_lr()['lr'][0] == pytest.approx(1e-4 * rate)
