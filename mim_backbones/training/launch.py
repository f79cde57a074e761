"""Config file -> mmengine Runner, with one clear line for a user's mistake."""

import re
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mim_backbones.errors import UserError
from mim_backbones.training import atomic_files  # noqa: F401  registers the atomic backend
from mim_backbones.training.config_check import check_config
from mim_backbones.training.distributed import init_distributed
from mim_backbones.training.resume import allow_own_checkpoints


def read_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """A text config with dotted overrides, checked for keys that nothing reads.

    Raises:
        UserError: no such file, not a config, an unknown key.
    """
    if not Path(path).is_file():
        raise UserError(f'config {path} does not exist')
    try:
        cfg = Config.fromfile(path)
    except SyntaxError as error:
        raise UserError(f'config {path}, line {error.lineno}: {error.msg}') from error
    if options:
        cfg.merge_from_dict(options)
    check_config(cfg, options or ())
    return cfg


def build_runner(cfg: Config) -> Runner:
    """mmengine's Runner for a config, on GPU or CPU, alone or in a process group.

    Raises:
        UserError: the work directory cannot be written, or a part refuses its arguments.
    """
    check_writable(cfg.work_dir)
    init_distributed(cfg.get('launcher', 'none'))
    allow_own_checkpoints()
    wrapper = cfg.setdefault('model_wrapper_cfg', ConfigDict(type='mim_backbones.DeviceDDP'))
    wrapper.setdefault('broadcast_buffers', False)
    try:
        return Runner.from_cfg(cfg)
    except (KeyError, TypeError) as error:
        # mmengine wraps what a constructor refuses; its text names the class and the key.
        text = ' '.join(str(error).split())
        if re.search(r'unexpected keyword argument|is not in the \S+ registry', text):
            raise UserError(f'config {cfg.filename}: {text}') from error
        raise
    except ValueError as error:
        # Constructors refuse values so (style: check at the door).
        raise UserError(f'config {cfg.filename}: {error}') from error


def check_writable(folder: str | Path) -> None:
    """Raises UserError when files cannot be made in `folder` (created if need be)."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / '.mimbench-write-test'
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f'cannot write to {folder}: {error.strerror}; give another folder') from error
