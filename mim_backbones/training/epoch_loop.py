"""Epochs that go on where a checkpoint in their middle was written."""

from collections.abc import Iterator
from typing import Any

from mmengine.runner import EpochBasedTrainLoop

from mim_backbones.registry import LOOPS


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's EpochBasedTrainLoop, which starts an epoch anew that a checkpoint had begun.

    Arguments are mmengine's. Our Runner takes it for every recipe that trains by epochs.

    Attributes:
        batches_done: of the running epoch; set by whoever resumes a run.
    """

    batches_done = 0

    def run_epoch(self) -> None:
        """The batches that are left of it, of the same samples."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if self.batches_done:
            self.runner.logger.info(f'{self.batches_done} batches of this epoch are done')
            # A loader guards its parts against assignment, since workers may have theirs already;
            # there are none before its first epoch.
            vars(self.dataloader)['batch_sampler'] = LateStart(
                self.dataloader.batch_sampler, self.batches_done
            )
        for index, batch in enumerate(self.dataloader, self.batches_done):
            self.batches_done = index + 1
            self.run_iter(index, batch)
        self.batches_done = 0
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


class LateStart:
    """A batch sampler that leaves out its first batches, once; nothing of them is loaded."""

    def __init__(self, batches: Any, start: int) -> None:
        self.batches = batches
        self.start = start

    def __getattr__(self, name: str) -> Any:
        """Whatever else it has: its sampler, for the epoch's seed."""
        if name == 'batches':  # before it is set, in a worker that unpickles
            raise AttributeError(name)
        return getattr(self.batches, name)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Any]]:
        start, self.start = self.start, 0
        for place, batch in enumerate(self.batches):
            if place >= start:
                yield batch
