"""Config -> mmengine's Runner, with one clear line for a user's mistake."""

import ctypes
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mim_backbones.console.atomic_file import check_writable
from mim_backbones.errors import UserError
from mim_backbones.training.config import require_keys
from mim_backbones.training.distributed import init_distributed
from mim_backbones.training.runner import RecipeRunner

REFUSALS = (
    AssertionError,
    ImportError,
    KeyError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
)
BUILDERS = {'build_from_cfg', 'build_scheduler_from_cfg'}  # of mmengine's registries


def build_runner(cfg: Config) -> Runner:
    """mmengine's Runner for a config, on GPU or CPU, alone or in a process group.

    Raises:
        UserError: no model, the work directory cannot be written, or a part refuses its arguments.
    """
    require_keys(cfg, 'recipe', 'model')
    check_writable(Path(cfg.work_dir))
    init_distributed(cfg.get('launcher', 'none'))
    if not torch.cuda.is_available():
        keep_freed_memory()
        cfg.pop('sync_bn', None)  # torch synchronises batch norm on GPUs only
    wrapper = cfg.setdefault('model_wrapper_cfg', ConfigDict(type='mim_backbones.DeviceDDP'))
    wrapper.setdefault('broadcast_buffers', False)
    # The Runner reads this key only when it chooses the wrapper itself.
    wrapper.setdefault('find_unused_parameters', cfg.get('find_unused_parameters', False))
    with build_errors_in_one_line(str(cfg.filename)):
        return RecipeRunner.from_cfg(cfg)


@contextmanager
def build_errors_in_one_line(config: str) -> Iterator[None]:
    """Turn what a constructor refuses while a config is built into a UserError.

    mmengine builds datasets and optimizers only when training starts, so this goes around
    `runner.train()` too. Errors from anywhere else are bugs and keep their traceback.
    """
    try:
        yield
    except REFUSALS as error:
        frames = traceback.extract_tb(error.__traceback__)
        if not any(frame.name in BUILDERS for frame in frames):
            raise
        raise UserError(f'config {config}: {" ".join(str(error).split())}') from error


# <malloc.h> of glibc.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell malloc to hand nothing back to the system; whether it listened (glibc does).

    By default glibc maps blocks above a few MB anew for each allocation and gives the top of the
    heap back: a training step of Swin-B then takes 100,000 page faults, which cost as much as its
    bf16 arithmetic. The process keeps what its largest step took; its peak does not grow.
    Where the system has put something right above the heap, nothing is gained.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl, Windows
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, NEVER) and mallopt(M_MMAP_MAX, 0))
