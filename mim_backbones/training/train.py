"""What tools/train.py, tools/test.py and `mimbench train` do, alone or under torchrun and SLURM.

Nothing heavy is imported before the arguments are parsed, so that `--help` is quick.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import Any

from mim_backbones.console.processes import end_with_torchrun, stops_in_one_line
from mim_backbones.console.recipes import find_recipe

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


@stops_in_one_line('--resume goes on from the last checkpoint')
def train(
    config: str,
    work_dir: str | None = None,
    data: str | None = None,
    resume: bool = False,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
) -> None:
    """Train what a recipe describes with mmengine's Runner.

    Args:
        config: a file, or a recipe of this project, see `find_recipe`.
        work_dir: of logs and checkpoints; the recipe's own, else work_dirs/CONFIG.
        data: data YAML, or a folder with data.yaml, whose pre-training images are taken.
        resume: go on from the last checkpoint in `work_dir`.
        options: dotted overrides of the recipe.

    Raises:
        UserError: whatever the user can mend, in one line.
    """
    end_with_torchrun()
    from mim_backbones.data_spec import load_data_spec, require

    given = dict(options or {})
    if data:
        given['train_dataloader.dataset.root'] = str(require(load_data_spec(data), 'pretrain').root)
    _run('train', config, work_dir, given, launcher, resume=resume)


@stops_in_one_line('nothing was evaluated')
def evaluate(
    config: str,
    checkpoint: str,
    work_dir: str | None = None,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
) -> None:
    """Evaluate a trained detector, segmenter or tracker with the config it was trained with.

    Raises:
        UserError: an unreadable checkpoint, or what `train` raises.
    """
    end_with_torchrun()
    from mim_backbones.checkpoints.safe.weights_file import read_weights_file

    read_weights_file(checkpoint)
    _run('test', config, work_dir, dict(options or {}), launcher, load_from=checkpoint)


def _run(
    what: str,
    config: str,
    work_dir: str | None,
    options: dict[str, Any],
    launcher: str,
    resume: bool = False,
    load_from: str | None = None,
) -> None:
    from mim_backbones.training.config import read_config
    from mim_backbones.training.distributed import leave_together
    from mim_backbones.training.launch import build_errors_in_one_line, build_runner

    path = find_recipe(config)
    cfg = read_config(path, options)
    cfg.launcher = launcher
    cfg.work_dir = work_dir or cfg.get('work_dir') or f'work_dirs/{path.stem}'
    cfg.resume = resume or cfg.get('resume', False)
    if load_from:
        cfg.load_from = load_from
    runner = build_runner(cfg)
    with build_errors_in_one_line(config):
        getattr(runner, what)()
    leave_together()


class OverridesAction(argparse.Action):
    """OpenMMLab's `--cfg-options a.b=1 c.d=text`, whose reader is imported when it is used."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        from mmengine.config import DictAction

        DictAction(self.option_strings, self.dest)(parser, namespace, values, option_string)


def openmmlab_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that OpenMMLab's tools have in common."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('config', help='a recipe: a file, or as `pretrain/simmim.py`')
    parser.add_argument('--work-dir', help='logs and results; default work_dirs/CONFIG')
    parser.add_argument(
        '--cfg-options',
        dest='options',
        nargs='+',
        action=OverridesAction,
        default={},
        help='dotted overrides, e.g. train_cfg.max_epochs=10',
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def parsed(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """The command line's arguments; the rank that older launchers pass as one goes to the env."""
    arguments = vars(parser.parse_args())
    os.environ.setdefault('LOCAL_RANK', str(arguments.pop('local_rank')))
    return arguments
