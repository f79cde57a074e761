"""The codebook's figures while a tokenizer trains, and an alarm when it collapses."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from pretrain.hooks.guard import unwrapped
from pretrain.registry import HOOKS
from pretrain.tokenizers.ema_codebook import EMACodebook
from pretrain.tokenizers.health import CodebookHealth, codebook_health

WIDE = 64  # channels; wider codebooks were reported to collapse (microsoft/unilm issue 1556)


@HOOKS.register_module()
class CodebookHealthHook(Hook):
    """Usage, perplexity, dead codes and a histogram, in the log and in TensorBoard.

    Counts cover all processes. The scalars `codebook_usage`, `codebook_perplexity` and
    `codebook_dead` are those of the steps since the hook last looked; a summary of the whole
    epoch follows at its end (its dead codes are the published "unused codes").

    Args:
        interval: steps between two looks.
        alarm_below: usage below which a warning with advice is logged, once in each collapse.
        enough: the alarm stays silent below this many tokens per code, where codes are unused
            for want of tokens.
    """

    priority = 'ABOVE_NORMAL'  # before the logger

    def __init__(self, interval: int = 50, alarm_below: float = 0.5, enough: int = 10) -> None:
        self.interval = interval
        self.alarm_below = alarm_below
        self.enough = enough
        self.collapsed = False
        self.epoch_hits: Tensor | None = None

    def before_train_epoch(self, runner: Runner) -> None:
        codebook_of(runner).reset_hits()
        self.epoch_hits = None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict
    ) -> None:
        if self.every_n_inner_iters(batch_idx, self.interval):
            self._look(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        if int(codebook_of(runner).hits.sum()):
            self._look(runner)
        if self.epoch_hits is not None:
            health = codebook_health(self.epoch_hits.numpy())
            runner.logger.info(f'epoch {runner.epoch + 1}, {health.as_text()}')

    def _look(self, runner: Runner) -> None:
        codebook = codebook_of(runner)
        hits = codebook.hits.to('cpu', copy=True)
        codebook.reset_hits()
        self.epoch_hits = hits if self.epoch_hits is None else self.epoch_hits + hits
        health = codebook_health(hits.numpy())
        for name in ('usage', 'perplexity', 'dead'):
            runner.message_hub.update_scalar(f'train/codebook_{name}', getattr(health, name))
        runner.logger.info(health.as_text())
        draw_histogram(runner, hits)
        enough = health.tokens >= self.enough * health.codes
        if enough and health.usage < self.alarm_below and not self.collapsed:
            runner.logger.warning(f'the codebook collapses: {advice(health, codebook)}')
        if enough:
            self.collapsed = health.usage < self.alarm_below


def codebook_of(runner: Runner) -> EMACodebook:
    return unwrapped(runner).quantize


def draw_histogram(runner: Runner, hits: Tensor) -> None:
    """The codes' shares, 1 = even, on TensorBoard where the run has one."""
    backend = runner.visualizer._vis_backends.get('TensorboardVisBackend')
    if backend is not None:
        shares = hits.double() * len(hits) / hits.sum().clamp(min=1)
        backend.experiment.add_histogram('codebook/share', shares, runner.iter + 1)


def advice(health: CodebookHealth, codebook: EMACodebook) -> str:
    """What went wrong in figures, and what to change."""
    dim = codebook.codebook.shape[1]
    remedies = []
    if dim > WIDE:
        remedies.append(f'make the codes narrower (codebook.dim={dim}; published: 32)')
    if not codebook.kmeans_start:
        remedies.append('start from k-means (codebook.kmeans_start=True)')
    if codebook.reseed_after is None:
        remedies.append('revive dead codes (codebook.reseed_after=100)')
    remedies.append(f'take a larger batch or fewer codes (codebook.codes={health.codes})')
    remedies.append('lower the learning rate')
    return (
        f'{health.usage:.1%} of {health.codes} codes are used, perplexity '
        f'{health.perplexity:.1f}. What helps: {"; ".join(remedies)}'
    )
