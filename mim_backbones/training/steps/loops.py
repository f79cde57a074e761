"""Training by epochs and by iterations that goes on exactly where a checkpoint was written.

mmengine's loops, in which

    a step     may have several micro-batches; the Runner's `step_batch` says how many
    a resume   begins with the samples that come next; nothing of those before is loaded
    a stop     (`stop_training`) is heard after any step, in mid-epoch too
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from mim_backbones.errors import UserError
from mim_backbones.registry import LOOPS
from mim_backbones.training.steps.draws import PlacedOrder
from mim_backbones.training.steps.micro_batches import (
    StepLoader,
    drops_last,
    in_steps,
    take_step,
)


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """Training by epochs; arguments are mmengine's. Our Runner takes it for every such recipe.

    Attributes:
        batches_done: steps of the running epoch; set by whoever resumes a run.
        micro_batches: of the running step.
    """

    batches_done = 0
    micro_batches: Sequence[Any]

    def __init__(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        super().__init__(runner, *args, **kwargs)
        self.loader, self.parts = self.dataloader, parts_of(runner)
        if self.parts > 1:
            self.dataloader = StepLoader(self.loader, self.parts)
            self._max_iters = self._max_epochs * len(self.dataloader)

    def run(self) -> Any:
        """Train up to the last epoch; returns the model."""
        model = super().run()
        end_workers(self.loader)
        return model

    def run_epoch(self) -> None:
        """The steps that are left of it, of the same samples."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        begin_epoch(self.loader, self._epoch, self.runner.seed)
        if self.batches_done:
            self.runner.logger.info(f'{self.batches_done} batches of this epoch are done')
            start_late(self.loader, self.batches_done * self.parts)
        for index, batch in enumerate(self.dataloader, self.batches_done):
            self.batches_done = index + 1
            self.run_iter(index, batch)
            if self.stop_training:
                return
        self.batches_done = 0
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Any) -> None:
        self.micro_batches = data_batch if self.parts > 1 else [data_batch]
        if self.parts == 1:
            super().run_iter(idx, data_batch)
            return
        take_step(self.runner, idx, data_batch)
        self._iter += 1


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """Training by iterations; arguments are mmengine's, and our Runner takes it likewise.

    Attributes:
        micro_batches: of the running step.
    """

    micro_batches: Sequence[Any]

    def __init__(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        super().__init__(runner, *args, **kwargs)
        self.loader, self.parts = self.dataloader, parts_of(runner)
        if self.parts > 1:
            self.dataloader = StepLoader(self.loader, self.parts)
        self.dataloader_iterator = None  # made when it is known where to begin

    def run(self) -> Any:
        """Train up to the last iteration; returns the model."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        # mmengine's word for taking other samples after a resume
        begin = 0 if getattr(self, 'fast_forward_on_resume', False) else self._iter
        self.dataloader_iterator = endless(self.dataloader, self.parts, begin, self.runner.seed)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            due = self._iter % self.val_interval == 0 or self._iter == self._max_iters
            if self.runner.val_loop is not None and self._iter >= self.val_begin and due:
                self.runner.val_loop.run()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        self.dataloader_iterator = None
        end_workers(self.loader)
        return self.runner.model

    def run_iter(self, data_batch: Any) -> None:
        self.micro_batches = data_batch if self.parts > 1 else [data_batch]
        if self.parts == 1:
            super().run_iter(data_batch)
            return
        take_step(self.runner, self._iter, data_batch)
        self._iter += 1


def end_workers(loader: DataLoader) -> None:
    """End the persistent workers of a loader, whose memory scoring may need.

    Left to the garbage collector, which may cut them off from their queues first, each would be
    waited for in vain for five seconds.
    """
    vars(loader)['_iterator'] = None


def parts_of(runner: Runner) -> int:
    """Micro-batches of an iteration; a Runner that is not ours has one."""
    batch = getattr(runner, 'step_batch', None)
    return batch.parts if batch is not None else 1


def begin_epoch(loader: DataLoader, epoch: int, seed: int) -> None:
    """Tell the places of a loader's samples which epoch it is."""
    sampler = getattr(loader.batch_sampler, 'sampler', None)
    if isinstance(sampler, PlacedOrder):
        sampler.resume(seed, epoch)


def endless(dataloader: Any, parts: int, begin: int, seed: int) -> Iterator[Any]:
    """The batches of steps without end, from the step numbered `begin` on.

    Raises:
        UserError: the loader has not one.
    """
    loader = dataloader.inner if isinstance(dataloader, StepLoader) else dataloader
    if isinstance(loader.dataset, IterableDataset) or loader.batch_sampler is None:
        # Nothing but the data knows what comes next.
        return islice(epochs(dataloader, loader, 0, seed), begin, None)
    return epochs(dataloader, loader, past(loader, parts, begin, seed), seed)


def epochs(dataloader: Any, loader: DataLoader, epoch: int, seed: int) -> Iterator[Any]:
    empty = False
    while True:
        before, empty = empty, True
        for batch in dataloader:
            empty = False
            yield batch
        if empty and before:  # the first may have been at its end when the run resumed
            raise UserError(
                f'train_dataloader: {len(loader.dataset)} samples make no batch of '  # type: ignore[arg-type]
                f'{loader.batch_size}; lower batch_size, or drop_last=False'
            )
        epoch += 1
        set_epoch(loader, epoch, seed)


def past(loader: DataLoader, parts: int, steps: int, seed: int) -> int:
    """Have a loader begin after as many steps; returns the epoch that it is in then."""
    begin_epoch(loader, 0, seed)
    if not steps:
        return 0
    batches: Any = loader.batch_sampler
    sampler = getattr(batches, 'sampler', None)
    order = sampler.inner if isinstance(sampler, PlacedOrder) else sampler
    if type(batches) is BatchSampler and hasattr(order, 'skip'):
        samples = steps * parts * batches.batch_size
        order.skip(samples)
        if isinstance(sampler, PlacedOrder):
            sampler.begin = samples
        return 0
    epoch, indices = 0, iter(batches)
    for _ in range(steps):
        if next(in_steps(indices, parts, drops_last(loader)), None) is None:
            epoch += 1
            set_epoch(loader, epoch, seed)
            indices = iter(batches)
            next(in_steps(indices, parts, drops_last(loader)), None)
    vars(loader)['batch_sampler'] = Begun(batches, indices)
    return epoch


def set_epoch(loader: DataLoader, epoch: int, seed: int) -> None:
    """Another order for another epoch, as mmengine's loops tell a sampler."""
    for sampler in (loader.sampler, getattr(loader.batch_sampler, 'sampler', None)):
        if hasattr(sampler, 'set_epoch'):
            sampler.set_epoch(epoch)
            break
    begin_epoch(loader, epoch, seed)


def start_late(loader: DataLoader, batches: int) -> None:
    """Have a loader leave out the first batches of its next epoch; nothing of them is loaded."""
    indices = iter(loader.batch_sampler)
    for _ in islice(indices, batches):
        pass
    # A loader guards its parts against assignment, since workers may have theirs already; there
    # are none before its first epoch.
    vars(loader)['batch_sampler'] = Begun(loader.batch_sampler, indices)


class Begun:
    """A batch sampler whose first epoch has begun already."""

    def __init__(self, batches: Any, rest: Iterator[list[Any]]) -> None:
        self.batches = batches
        self.rest: Iterator[list[Any]] | None = rest

    def __getattr__(self, name: str) -> Any:
        """Whatever else it has: its sampler, for the epoch's seed."""
        if name in ('batches', 'rest'):  # before they are set, in a worker that unpickles
            raise AttributeError(name)
        return getattr(self.batches, name)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Any]]:
        # At the first `next`: a loader with workers makes two iterators and uses the second.
        rest, self.rest = self.rest, None
        yield from self.batches if rest is None else rest
