"""Checkpoints that a kill cannot take away, and that hold all a run needs to go on exactly.

mmengine's hook removes the old checkpoint, writes the new one in place, then notes its name: killed
in between, nothing whole is left. Here: write, sync, rename, note, then remove.

What mmengine's checkpoints lack:

    meta.batches_done    of the running epoch, where a checkpoint falls into its middle
    gradients            that wait for the rest of an accumulated batch
"""

from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mim_backbones.console.atomic_file import write_bytes_atomically
from mim_backbones.registry import HOOKS
from mim_backbones.training.distributed import undistributed
from mim_backbones.training.guard.hook import Guard
from mim_backbones.training.resume import NOTE


@register_backend('atomic_local', force=True)
class AtomicLocalBackend(LocalBackend):
    """A file is there whole or as it was before."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        write_bytes_atomically(Path(filepath), obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        self.put(obj.encode(encoding), filepath)


class LateRemovals:
    """A file backend that only lists what is to be removed, until what replaces it is there.

    Attributes:
        listed: paths of files to remove.
    """

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.listed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        self.listed.append(path)

    def remove_now(self, keep: set[str]) -> None:
        """All that are listed, and not named again since."""
        for path in self.listed:
            if path not in keep and self.backend.isfile(path):
                self.backend.remove(path)
        self.listed.clear()


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, for files that a kill at any moment leaves whole.

    Arguments are mmengine's. Our Runner takes it for every recipe that names `CheckpointHook`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        local = '://' not in str(self.out_dir or '')
        if self.backend_args is None and self.file_client_args is None and local:
            self.backend_args = {'backend': 'atomic_local'}
        self.batches_done = 0
        self.gradients: dict[str, Tensor] = {}

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        self.file_backend = LateRemovals(self.file_backend)
        if runner.iter:  # resumed; `load_from` starts anew
            if hasattr(runner.train_loop, 'batches_done'):
                runner.train_loop.batches_done = self.batches_done
            parameters = dict(undistributed(runner.model).named_parameters())
            for name, gradient in self.gradients.items():
                parameters[name].grad = gradient.to(parameters[name])
        self.gradients = {}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self.batches_done = checkpoint.get('meta', {}).get('batches_done', 0)
        self.gradients = checkpoint.get('gradients', {})

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint['meta']['batches_done'] = getattr(runner.train_loop, 'batches_done', 0)
        if self.gradients:
            checkpoint['gradients'] = {k: v.cpu() for k, v in self.gradients.items()}

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        if self.max_keep_ckpts > 0 and [*self.keep_ckpt_ids][-1:] != [step]:
            steps = [*self.keep_ckpt_ids, step]
            # With those that go: a run resumed from here removes what this one may not get to.
            runner.message_hub.update_info('keep_ckpt_ids', steps)
            self.keep_ckpt_ids.append(step)
            for old in steps[: -self.max_keep_ckpts]:
                file = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old))
                self.file_backend.remove(file)
        self.gradients = gradients_so_far(runner)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self.gradients = {}
        for hook in runner.hooks:
            if isinstance(hook, Guard):
                hook.keep(runner.iter if self.by_epoch else runner.iter + 1)
        if is_main_process():
            write_bytes_atomically(Path(runner.work_dir, NOTE), self.last_ckpt.encode())
            self._remove_replaced()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        super()._save_best_checkpoint(runner, metrics)
        if is_main_process():
            self._remove_replaced()

    def _remove_replaced(self) -> None:
        best = [getattr(self, 'best_ckpt_path', None)]
        best += getattr(self, 'best_ckpt_path_dict', {}).values()
        self.file_backend.remove_now(keep={self.last_ckpt, *best})


def gradients_so_far(runner: Runner) -> dict[str, Tensor]:
    """Parameter -> what is summed up for an optimizer step that is yet to come; mostly nothing.

    Each process sums for itself until the step. Here they put their sums together and go on from
    the mean, which leads to the same step: one file serves all, whatever their number later.
    """
    wrapper = runner.optim_wrapper
    if not isinstance(wrapper, OptimWrapper) or wrapper.should_update():
        return {}
    model = undistributed(runner.model)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    summed = torch.tensor([p.grad is not None for p in parameters.values()], dtype=torch.int32)
    all_reduce(summed, 'max')  # a process may not have used all of them
    found = {}
    for (name, parameter), there in zip(parameters.items(), summed.tolist(), strict=True):
        if there:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            all_reduce(parameter.grad, 'mean')
            found[name] = parameter.grad
    return found
