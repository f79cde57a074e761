"""What tools/train.py, tools/test.py and `mimbench train` do, alone or under torchrun and SLURM.

Nothing heavy is imported before the arguments are parsed, so that `--help` is quick.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mim_backbones.console.processes import end_with_torchrun, stops_in_one_line
from mim_backbones.console.recipes import find_recipe

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


@stops_in_one_line('--resume goes on from the last checkpoint')
def train(
    config: str,
    work_dir: str | None = None,
    resume: bool | str = False,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
    **habits: Any,
) -> None:
    """Train what a recipe describes with mmengine's Runner.

    Args:
        config: a file, or a recipe of this project, see `find_recipe`.
        work_dir: of logs and checkpoints; the recipe's own, else work_dirs/CONFIG.
        resume: go on from the last checkpoint in `work_dir`, or from the one named.
        options: dotted overrides of the recipe.
        habits: data, amp, compile, auto_scale_lr, see `overrides`.

    Raises:
        UserError: whatever the user can mend, in one line.
    """
    end_with_torchrun()
    _run('train', config, work_dir, dict(options or {}), launcher, resume, None, habits)


@stops_in_one_line('nothing was evaluated')
def evaluate(
    config: str,
    checkpoint: str,
    work_dir: str | None = None,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
    **habits: Any,
) -> None:
    """Evaluate a trained detector, segmenter or tracker with the config it was trained with.

    Args:
        habits: data, out, show_dir, tta, see `overrides`.

    Raises:
        UserError: an unreadable checkpoint, or what `train` raises.
    """
    end_with_torchrun()
    from mim_backbones.checkpoints.safe.weights_file import read_weights_file

    read_weights_file(checkpoint)
    _run('test', config, work_dir, dict(options or {}), launcher, False, checkpoint, habits)


def _run(
    what: str,
    config: str,
    work_dir: str | None,
    options: dict[str, Any],
    launcher: str,
    resume: bool | str,
    load_from: str | None,
    habits: dict[str, Any],
) -> None:
    from mim_backbones.training.config import read_config
    from mim_backbones.training.distributed import leave_together
    from mim_backbones.training.launch import build_errors_in_one_line, build_runner
    from mim_backbones.training.overrides import overrides
    from mim_backbones.training.preflight import check_run

    path = find_recipe(config)
    cfg = read_config(path, options)
    cfg.launcher = launcher
    cfg.work_dir = work_dir or cfg.get('work_dir') or f'work_dirs/{path.stem}'
    cfg.resume = bool(resume) or cfg.get('resume', False)
    if isinstance(resume, str) or load_from:
        cfg.load_from = load_from or resume
    elif resume and cfg.get('load_from'):  # where to start, not where to go on
        cfg.resume = (Path(cfg.work_dir) / 'last_checkpoint').is_file()
        cfg.load_from = None if cfg.resume else cfg.load_from
    for change in overrides(**habits):
        change(cfg)
    check_run(cfg, what)
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


def config_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that all of OpenMMLab's tools have: a config and its overrides."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('config', help='a recipe: a file, or as `pretrain/simmim.py`')
    parser.add_argument(
        '--cfg-options',
        dest='options',
        nargs='+',
        action=OverridesAction,
        default={},
        help='dotted overrides, e.g. train_cfg.max_epochs=10',
    )
    return parser


def openmmlab_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that OpenMMLab's training and test tools have in common."""
    parser = config_parser(description)
    parser.add_argument('--work-dir', help='logs and results; default work_dirs/CONFIG')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def add_training_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument(
        '--data',
        help='data YAML or the folder of its data.yaml, for recipes of mimbench;\n'
        'for pre-training also a folder of images',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const=True,
        default=False,
        metavar='CHECKPOINT',
        help='go on from the last checkpoint of the work directory, or from this one',
    )
    parser.add_argument('--amp', action='store_true', help='half precision (bf16 on a CPU)')
    parser.add_argument(
        '--compile', action='store_true',
        help='compile the loss (torch.compile); needs a C++ compiler, on a GPU Triton',
    )  # fmt: skip
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the rate by the real batch'
    )
    return parser


def add_test_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument('checkpoint')
    parser.add_argument('--data', help='data YAML or the folder of its data.yaml')
    parser.add_argument('--out', help='keep predictions: FILE.pkl; segmentation also a folder')
    parser.add_argument('--show-dir', help='folder of pictures of the predictions')
    parser.add_argument('--tta', action='store_true', help='merge several views of each image')
    return parser


def parsed(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """The command line's arguments; the rank that older launchers pass as one goes to the env."""
    arguments = vars(parser.parse_args())
    os.environ.setdefault('LOCAL_RANK', str(arguments.pop('local_rank', 0)))
    return arguments
