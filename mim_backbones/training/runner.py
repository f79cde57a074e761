"""mmengine's Runner as every recipe here runs, a stock one too.

What it adds, without a line in a recipe:

    batch           the published one on any number of processes, or the rate follows (steps/batch)
    weights         those of a file reach the model, or it is refused
    checkpoints     whole at any moment; a run goes on from the newest, in mid-epoch too
    draws           by seed and step alone, so that it goes on exactly (steps/draws)
    losses          compiled where the config has `compile` (compilation)
    guard           what is not finite is undone once, then named; it is never saved or scored
    names           of its own: two runs of one second share neither log nor message hub
    workers         end with the process they work for
"""

import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from mmengine.utils.dl_utils import has_batch_norm
from torch.utils.data import DataLoader

from mim_backbones.console.atomic_file import write_bytes_atomically
from mim_backbones.console.processes import end_with_parent
from mim_backbones.errors import UserError
from mim_backbones.training.compilation import compile_loss
from mim_backbones.training.coverage import Coverage
from mim_backbones.training.distributed import undistributed
from mim_backbones.training.guard.hook import Guard
from mim_backbones.training.resume import NOTE, newest_whole
from mim_backbones.training.steps.batch import StepBatch, step_batch
from mim_backbones.training.steps.draws import SeededSteps, place_draws
from mim_backbones.training.steps.loops import ResumableEpochLoop, ResumableIterLoop

CHECKPOINTS = 'mim_backbones.WholeCheckpointHook'
LOOPS = {
    'EpochBasedTrainLoop': 'mim_backbones.ResumableEpochLoop',
    'IterBasedTrainLoop': 'mim_backbones.ResumableIterLoop',
}
STARTS: Counter[str] = Counter()  # runs of this process, by the second they started in


class RecipeRunner(Runner):
    """See the module."""

    step_batch: StepBatch | None = None  # of a training, once its loop is built

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """mmengine's; the second a run starts in, after which all its parts are named, is told
        apart from that of an earlier run of this process.
        """
        super().setup_env(env_cfg)
        STARTS[self._timestamp] += 1
        if STARTS[self._timestamp] > 1:
            self._timestamp += f'_{STARTS[self._timestamp]}'

    def scale_lr(self, optim_wrapper: Any, auto_scale_lr: dict[str, Any] | None = None) -> None:
        """The rate as `step_batch` has it, which counts accumulated batches too."""
        assert self.step_batch is not None
        text = self.step_batch.as_text()
        if self.step_batch.parts > 1 and has_batch_norm(self.model):
            text += '; batch norms take the statistics of a micro-batch'
        self.logger.info(text)
        several = isinstance(optim_wrapper, OptimWrapperDict)
        if several and self.step_batch.parts > 1:
            raise UserError(
                'optim_wrapper: micro-batches go with one optimizer, and this recipe has several; '
                'let the rate follow the batch: --auto-scale-lr'
            )
        for wrapper in optim_wrapper.values() if several else [optim_wrapper]:
            for group in wrapper.optimizer.param_groups:
                group['lr'] *= self.step_batch.rate

    def register_hooks(
        self, default_hooks: dict[str, Any] | None = None, custom_hooks: list[Any] | None = None
    ) -> None:
        """Those of the recipe; its checkpoints are whole ones, its steps seeded and guarded."""
        hooks = {'checkpoint': {'type': 'CheckpointHook', 'interval': 1}, **(default_hooks or {})}
        saving = hooks['checkpoint']
        if isinstance(saving, dict) and saving.get('type') == 'CheckpointHook':
            hooks['checkpoint'] = {**saving, 'type': CHECKPOINTS}
        super().register_hooks(hooks, custom_hooks)
        self.register_hook(SeededSteps())
        if not any(isinstance(hook, Guard) for hook in self.hooks):
            self.register_hook(Guard())

    def build_train_loop(self, loop: BaseLoop | dict[str, Any]) -> BaseLoop:
        """The recipe's, over steps of the batch that it is to have; see `steps.loops`.

        Raises:
            UserError: an epoch without a batch, or a batch that cannot be had.
        """
        if isinstance(loop, dict):
            by = 'EpochBasedTrainLoop' if loop.get('by_epoch') else 'IterBasedTrainLoop'
            kind = loop.get('type', by)
            if kind in LOOPS:
                loop = {**loop, 'type': LOOPS[kind]}
                loop.pop('by_epoch', None)
        self._train_dataloader = self._loader_of_steps(self._train_dataloader)
        built = super().build_train_loop(loop)
        in_parts = isinstance(built, ResumableEpochLoop | ResumableIterLoop)
        if self.step_batch is not None and self.step_batch.parts > 1 and not in_parts:
            raise UserError(
                f'train_cfg: {type(built).__name__} takes no micro-batches, which the published '
                'batch needs here; let the rate follow the batch: --auto-scale-lr'
            )
        loader = built.dataloader
        if isinstance(built, EpochBasedTrainLoop) and not len(loader):
            raise UserError(
                f'train_dataloader: {len(loader.dataset)} samples make no batch of '
                f'{loader.batch_size} for each process; lower batch_size, or drop_last=False'
            )
        return built

    def _maybe_compile(self, target: str) -> None:
        """The loss, where the config has `compile` (True, or arguments of torch.compile)."""
        asked = self.cfg.get('compile')
        if asked:
            compile_loss(undistributed(self.model), **({} if asked is True else asked))

    def _loader_of_steps(self, loader: DataLoader | dict[str, Any]) -> DataLoader:
        """The training's data loader, of micro-batches, whose draws are seeded by step."""
        wrapper: Any = self.optim_wrapper
        if isinstance(wrapper, OptimWrapper):
            accumulated = wrapper._accumulative_counts
        else:
            accumulated = wrapper.get('accumulative_counts', 1)
        if isinstance(loader, DataLoader):
            size = loader.batch_size or 1
        else:
            size = loader.get('batch_size') or (loader.get('batch_sampler') or {}).get('batch_size')
        batch = step_batch(size or 1, self.auto_scale_lr, self.world_size, accumulated)
        self.step_batch = batch
        if isinstance(loader, dict):
            if 'batch_size' in loader:
                loader = {**loader, 'batch_size': batch.at_once}
            mixed = (self._randomness_cfg or {}).get('diff_rank_seed', False)
            loader = self.build_dataloader(loader, seed=self.seed, diff_rank_seed=mixed)
            place_draws(loader, self.seed)
        return loader

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
        sys.excepthook = report_unless_hung_up
        if multiprocessing.get_start_method() != 'forkserver':
            end_with_parent(self.process)
        if self.after is not None:
            self.after(number)


def report_unless_hung_up(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """`sys.excepthook` of a worker: silent where who it works for stops in the middle of a fetch.

    A thread that hands batches over would print a traceback then. What the worker itself raises
    goes to who it works for, which says it.
    """
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)
