"""Train anything a config describes: pre-training, detection, segmentation, tracking.

python tools/train.py configs/pretrain/simmim.py --data DATA --work-dir work_dirs/simmim
"""

import sys

from mim_backbones.errors import UserError
from mim_backbones.training.train import openmmlab_parser, parsed, train

if __name__ == '__main__':
    parser = openmmlab_parser(__doc__)
    parser.add_argument('--data', help='data YAML, or a folder that holds data.yaml (pre-training)')
    parser.add_argument('--resume', action='store_true', help='go on from the last checkpoint')
    try:
        train(**parsed(parser))
    except UserError as error:
        sys.exit(f'train.py: error: {error}')
