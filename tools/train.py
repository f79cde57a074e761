"""Train anything a config describes: pre-training, detection, segmentation, tracking.

python tools/train.py configs/pretrain/simmim.py --data DATA --work-dir work_dirs/simmim
"""

import argparse
import os
import sys
from pathlib import Path

from mmengine.config import DictAction

import mim_backbones  # noqa: F401  before mmengine, for the import stand-ins
from mim_backbones.data_spec import load_data_spec, require
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config
from mim_backbones.training.distributed import leave_together
from mim_backbones.training.launch import build_errors_in_one_line, build_runner


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('config', help='recipe, e.g. configs/pretrain/simmim.py')
    parser.add_argument('--work-dir', help='logs and checkpoints; default work_dirs/CONFIG')
    parser.add_argument('--data', help='data YAML, or a folder that holds data.yaml (pre-training)')
    parser.add_argument('--resume', action='store_true', help='go on from the last checkpoint')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='dotted overrides, e.g. train_cfg.max_epochs=10',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def train(args: argparse.Namespace) -> None:
    options = dict(args.cfg_options)
    if args.data:
        options['train_dataloader.dataset.root'] = str(
            require(load_data_spec(args.data), 'pretrain').root
        )
    cfg = read_config(args.config, options)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    cfg.resume = args.resume or cfg.get('resume', False)
    runner = build_runner(cfg)
    with build_errors_in_one_line(args.config):
        runner.train()
    leave_together()


if __name__ == '__main__':
    try:
        train(parse_args())
    except UserError as error:
        sys.exit(f'train.py: error: {error}')
