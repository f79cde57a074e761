"""Evaluate a trained detector, segmenter or tracker with the config it was trained with.

python tools/test.py CONFIG CHECKPOINT --work-dir work_dirs/eval
"""

import sys

from mim_backbones.errors import UserError
from mim_backbones.training.train import evaluate, openmmlab_parser, parsed

if __name__ == '__main__':
    parser = openmmlab_parser(__doc__)
    parser.add_argument('checkpoint')
    try:
        evaluate(**parsed(parser))
    except UserError as error:
        sys.exit(f'test.py: error: {error}')
