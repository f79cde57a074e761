"""Config -> mmengine Runner, with one clear line for a user's mistake."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mim_backbones.errors import UserError
from mim_backbones.training import atomic_backend  # noqa: F401  registers it
from mim_backbones.training.config_file import require_keys
from mim_backbones.training.distributed import init_distributed
from mim_backbones.training.host_memory import keep_freed_memory
from mim_backbones.training.resume import allow_own_checkpoints
from mim_backbones.training.runner import AccumulatingRunner

BUILDERS = {'build_from_cfg', 'build_scheduler_from_cfg'}  # of mmengine's registries


def build_runner(cfg: Config) -> Runner:
    """mmengine's Runner for a config, on GPU or CPU, alone or in a process group.

    Raises:
        UserError: no model, the work directory cannot be written, or a part refuses its arguments.
    """
    require_keys(cfg, 'recipe', 'model')
    check_writable(cfg.work_dir)
    init_distributed(cfg.get('launcher', 'none'))
    if not torch.cuda.is_available():
        keep_freed_memory()
        cfg.pop('sync_bn', None)  # torch synchronises batch norm on GPUs only
    allow_own_checkpoints()
    wrapper = cfg.setdefault('model_wrapper_cfg', ConfigDict(type='mim_backbones.DeviceDDP'))
    wrapper.setdefault('broadcast_buffers', False)
    # The Runner reads this key only when it chooses the wrapper itself.
    wrapper.setdefault('find_unused_parameters', cfg.get('find_unused_parameters', False))
    with build_errors_in_one_line(str(cfg.filename)):
        return AccumulatingRunner.from_cfg(cfg)


@contextmanager
def build_errors_in_one_line(config: str) -> Iterator[None]:
    """Turn what a constructor refuses while a config is built into a UserError.

    mmengine builds datasets and optimizers only when training starts, so this goes around
    `runner.train()` too. Errors from anywhere else are bugs and keep their traceback.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        if not any(frame.name in BUILDERS for frame in frames):
            raise
        raise UserError(f'config {config}: {" ".join(str(error).split())}') from error


def check_writable(folder: str | Path) -> None:
    """Raises UserError when files cannot be made in `folder` (created if need be)."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / '.mimbench-write-test'
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f'cannot write to {folder}: {error.strerror}; give another folder'
        ) from error
