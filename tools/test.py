"""Evaluate a trained detector, segmenter or tracker with the config it was trained with.

python tools/test.py CONFIG CHECKPOINT --work-dir work_dirs/eval
"""

import argparse
import os
import sys
from pathlib import Path

from mmengine.config import DictAction

import mim_backbones  # noqa: F401  before mmengine, for the import stand-ins
from mim_backbones.checkpoints.safe.weights_file import read_weights_file
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config
from mim_backbones.training.distributed import leave_together
from mim_backbones.training.launch import build_errors_in_one_line, build_runner


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--work-dir', help='logs and results; default work_dirs/CONFIG')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def test(args: argparse.Namespace) -> None:
    read_weights_file(args.checkpoint)
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    cfg.load_from = args.checkpoint
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    runner = build_runner(cfg)
    with build_errors_in_one_line(args.config):
        runner.test()
    leave_together()


if __name__ == '__main__':
    try:
        test(parse_args())
    except UserError as error:
        sys.exit(f'test.py: error: {error}')
