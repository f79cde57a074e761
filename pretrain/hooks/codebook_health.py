"""The codebook's figures while a tokenizer trains, and an alarm when it collapses."""

from dataclasses import dataclass

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mim_backbones.training.distributed import undistributed
from pretrain.registry import HOOKS
from pretrain.tokenizers.ema_codebook import EMACodebook

WIDE = 64  # channels; wider codebooks were reported to collapse (microsoft/unilm issue 1556)

EDGES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, float('inf'))  # shares, in units of 1 / codes


@dataclass(frozen=True)
class CodebookHealth:
    """Figures of one codebook over some tokens.

    Attributes:
        codes: size of the codebook.
        tokens: how many tokens were counted.
        dead: codes without a token.
        usage: share of codes with a token, 0 to 1.
        perplexity: exp of the entropy of the codes' shares: the number of codes that, used
            evenly, would be as varied; 1 to `codes`.
        top_share: share of the tokens that the most frequent code has.
        histogram: ('0', codes without a token), ('<1/4', codes with less than a quarter of an
            even share), and so on.
    """

    codes: int
    tokens: int
    dead: int
    usage: float
    perplexity: float
    top_share: float
    histogram: tuple[tuple[str, int], ...]

    def as_text(self) -> str:
        bins = '  '.join(f'{label}: {count}' for label, count in self.histogram)
        return (
            f'codebook: {self.codes - self.dead} of {self.codes} codes used ({self.usage:.1%}), '
            f'perplexity {self.perplexity:.1f}, {self.dead} dead, most frequent '
            f'{self.top_share:.2%} of {self.tokens} tokens; codes by share (1 = even): {bins}'
        )


def codebook_health(hits: np.ndarray) -> CodebookHealth:
    """hits (K,): how many tokens each code got.

    Raises:
        ValueError: no codes, or a negative count.
    """
    hits = np.asarray(hits, dtype=np.float64)
    if not hits.size or hits.min() < 0:
        raise ValueError('codebook_health: hits must be counts, one for each code')
    tokens = hits.sum()
    shares = hits / max(tokens, 1)
    used = shares[shares > 0]
    relative = used * len(hits)
    labels = ('<1/4', '1/4-1/2', '1/2-1', '1-2', '2-4', '>4')
    counts, _ = np.histogram(relative, bins=np.array(EDGES))
    return CodebookHealth(
        codes=len(hits),
        tokens=int(tokens),
        dead=int(len(hits) - len(used)),
        usage=len(used) / len(hits),
        perplexity=float(np.exp(-(used * np.log(used)).sum())) if len(used) else 0.0,
        top_share=float(shares.max()),
        histogram=(
            ('0', int(len(hits) - len(used))),
            *((label, int(count)) for label, count in zip(labels, counts, strict=True)),
        ),
    )


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
        self.epoch_hits = None
        if not getattr(runner.train_loop, 'batches_done', runner.iter):  # else it is resumed
            codebook_of(runner).reset_hits()

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
    return undistributed(runner.model).quantize


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
