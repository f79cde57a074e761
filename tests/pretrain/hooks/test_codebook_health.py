"""Figures of a codebook, and the hook that logs them and raises the alarm."""

import logging

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub

from pretrain.hooks.codebook_health import CodebookHealthHook, codebook_health
from pretrain.tokenizers.ema_codebook import EMACodebook


def test_figures_by_hand() -> None:
    health = codebook_health(np.array([8, 4, 4, 0]))
    assert (health.codes, health.tokens, health.dead) == (4, 16, 1)
    assert health.usage == 0.75
    assert health.top_share == 0.5
    assert health.perplexity == pytest.approx(2**1.5)  # entropy 1/2 + 2 * 1/4 * 2 bits
    # Even would be 4 tokens each: shares of 2, 1, 1 and 0 times that.
    assert dict(health.histogram) == {
        '0': 1, '<1/4': 0, '1/4-1/2': 0, '1/2-1': 0, '1-2': 2, '2-4': 1, '>4': 0,
    }  # fmt: skip


def test_even_and_empty() -> None:
    even = codebook_health(np.full(64, 3))
    assert even.usage == 1 and even.perplexity == pytest.approx(64)
    empty = codebook_health(np.zeros(64))
    assert empty.usage == empty.perplexity == empty.top_share == 0 and empty.dead == 64
    for bad in ([], [1, -1]):
        with pytest.raises(ValueError, match='hits must be counts'):
            codebook_health(np.array(bad))


class Experiment:
    def __init__(self) -> None:
        self.drawn = []

    def add_histogram(self, name, values, step) -> None:
        self.drawn.append((name, values, step))


class FakeRunner:
    """What the hook touches of a Runner."""

    def __init__(self, codebook: EMACodebook) -> None:
        self.model = torch.nn.Module()
        self.model.quantize = codebook
        self.message_hub = MessageHub.get_instance(f'health {id(self)}')
        self.logger = logging.getLogger('health')
        self.experiment = Experiment()
        backend = type('Backend', (), {'experiment': self.experiment})()
        backends = {'TensorboardVisBackend': backend}
        self.visualizer = type('Visualizer', (), {'_vis_backends': backends})()
        self.iter = self.epoch = 0
        self.train_loop = None


def look(hook: CodebookHealthHook, runner: FakeRunner, hits: list[int]) -> None:
    runner.model.quantize.hits.copy_(torch.tensor(hits))
    hook.after_train_iter(runner, runner.iter, {}, {})
    runner.iter += 1


def test_the_hook_logs_and_warns_once_per_collapse(caplog) -> None:
    caplog.set_level(logging.INFO)
    runner = FakeRunner(EMACodebook(4, 128, kmeans_start=False))
    hook = CodebookHealthHook(interval=1, enough=10)
    hook.before_train_epoch(runner)
    look(hook, runner, [20, 20, 20, 20])
    assert runner.message_hub.get_scalar('train/codebook_usage').current() == 1
    assert runner.message_hub.get_scalar('train/codebook_dead').current() == 0
    assert not runner.model.quantize.hits.any()  # counting starts anew
    look(hook, runner, [0, 1, 0, 0])  # too few tokens to say anything
    assert not [r for r in caplog.records if r.levelno == logging.WARNING]
    for _ in range(3):
        look(hook, runner, [0, 80, 0, 0])
    (warning,) = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert 'the codebook collapses: 25.0% of 4 codes are used' in warning
    for advice in ('codebook.dim=128', 'kmeans_start=True', 'reseed_after'):
        assert advice in warning
    assert runner.message_hub.get_scalar('train/codebook_perplexity').current() == 1
    name, shares, step = runner.experiment.drawn[-1]
    assert (name, step, shares.tolist()) == ('codebook/share', 5, [0, 4, 0, 0])
    hook.after_train_epoch(runner)
    epoch = [r.message for r in caplog.records if r.message.startswith('epoch 1, codebook')]
    assert '4 of 4 codes used' in epoch[0] and 'of 321 tokens' in epoch[0]
