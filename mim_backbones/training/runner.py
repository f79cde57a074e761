"""mmengine's Runner as every recipe here runs, a stock one too.

What it adds, without a line in a recipe:

    learning rate   by the batch of an optimizer step
    weights         those of a file reach the model, or it is refused
    checkpoints     whole at any moment; a run goes on from the newest, in mid-epoch too
    losses          finite
    workers         end with the process they work for
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mim_backbones.console.atomic_file import write_bytes_atomically
from mim_backbones.console.processes import end_with_parent
from mim_backbones.errors import UserError
from mim_backbones.training.coverage import Coverage
from mim_backbones.training.distributed import undistributed
from mim_backbones.training.guard import FiniteLoss
from mim_backbones.training.resume import NOTE, newest_whole

CHECKPOINTS, EPOCHS = 'mim_backbones.WholeCheckpointHook', 'mim_backbones.ResumableEpochLoop'


class RecipeRunner(Runner):
    """See the module."""

    def scale_lr(
        self, optim_wrapper: OptimWrapper, auto_scale_lr: dict[str, Any] | None = None
    ) -> None:
        """Scale by the batch of an optimizer step: devices x batch size x `accumulative_counts`.

        mmengine's own rule leaves the last factor out, so that a batch reached by accumulation
        would train at a fraction of its rate.
        """
        steps = getattr(optim_wrapper, '_accumulative_counts', 1)
        if auto_scale_lr is not None and auto_scale_lr.get('enable', False) and steps > 1:
            self.logger.info(f'an optimizer step takes {steps} batches: base batch / {steps}')
            base = auto_scale_lr['base_batch_size'] / steps
            auto_scale_lr = {**auto_scale_lr, 'base_batch_size': base}
        super().scale_lr(optim_wrapper, auto_scale_lr)

    def register_hooks(
        self, default_hooks: dict[str, Any] | None = None, custom_hooks: list[Any] | None = None
    ) -> None:
        """Those of the recipe; its checkpoints are whole ones, and its losses are watched."""
        hooks = {'checkpoint': {'type': 'CheckpointHook', 'interval': 1}, **(default_hooks or {})}
        saving = hooks['checkpoint']
        if isinstance(saving, dict) and saving.get('type') == 'CheckpointHook':
            hooks['checkpoint'] = {**saving, 'type': CHECKPOINTS}
        super().register_hooks(hooks, custom_hooks)
        if not any(isinstance(hook, FiniteLoss) for hook in self.hooks):
            self.register_hook(FiniteLoss())

    def build_train_loop(self, loop: BaseLoop | dict[str, Any]) -> BaseLoop:
        """The recipe's; one by epochs can start in the middle of an epoch.

        Raises:
            UserError: an epoch without a batch.
        """
        if isinstance(loop, dict):
            kind = loop.get('type', 'EpochBasedTrainLoop' if loop.get('by_epoch') else None)
            if kind == 'EpochBasedTrainLoop':
                loop = {**loop, 'type': EPOCHS}
                loop.pop('by_epoch', None)
        built = super().build_train_loop(loop)
        loader = built.dataloader
        if isinstance(built, EpochBasedTrainLoop) and not len(loader):
            raise UserError(
                f'train_dataloader: {len(loader.dataset)} samples make no batch of '
                f'{loader.batch_size} for each process; lower batch_size, or drop_last=False'
            )
        return built

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict[str, Any],
        seed: int | None = None,
        diff_rank_seed: bool = False,
    ) -> DataLoader:
        """mmengine's, whose workers end with this process."""
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        if loader.num_workers and not isinstance(loader.worker_init_fn, WorkerStart):
            loader.worker_init_fn = WorkerStart(loader.worker_init_fn)
        return loader

    def load_or_resume(self) -> None:
        """What `load_from` names, or with `resume` alone the newest whole checkpoint."""
        if self._resume and self._load_from is None and not self._has_loaded:
            found: list[Path | None] = [None]
            if is_main_process():
                found = [newest_whole(Path(self.work_dir), self.logger)]
                if found[0] is not None:  # what a kill left undone: older ones are removed next
                    write_bytes_atomically(Path(self.work_dir, NOTE), str(found[0]).encode())
            broadcast_object_list(found)
            self._load_from = found[0] and str(found[0])
            if self._load_from is None:
                self.logger.info(f'{self.work_dir} holds no checkpoint: a new training')
                return
        super().load_or_resume()

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable = 'cpu',
        strict: bool = False,
        revise_keys: list[tuple[str, str]] = [(r'^module\.', '')],  # noqa: B006  as mmengine's
    ) -> dict[str, Any]:
        """Weights of a file into the model.

        Raises:
            CheckpointError: they are another model's (see `coverage`), or the file cannot be read.
        """
        coverage = Coverage(undistributed(self.model))
        checkpoint = super().load_checkpoint(filename, map_location, strict, revise_keys)
        if isinstance(self._train_loop, BaseLoop) and not self._resume:
            coverage.refuse_bare_backbone(filename)
        else:
            coverage.refuse_gaps(filename)
            coverage.refuse_strangers(filename, checkpoint.get('state_dict', checkpoint))
        return checkpoint


class WorkerStart:
    """First thing a worker of a data loader does, before what the loader was told to call."""

    def __init__(self, after: Callable[[int], None] | None) -> None:
        self.after = after
        self.process = os.getpid()

    def __call__(self, number: int) -> None:
        # Ctrl-C and SIGTERM, which reach a whole group, are for who it works for to answer; a
        # worker that ends by a signal would be an error there.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        if multiprocessing.get_start_method() != 'forkserver':
            end_with_parent(self.process)
        if self.after is not None:
            self.after(number)
