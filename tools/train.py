"""Train anything a config describes: pre-training, detection, segmentation, tracking.

python tools/train.py configs/pretrain/simmim.py --data DATA --work-dir work_dirs/simmim
"""

from mim_backbones.console.cli import errors_in_one_line
from mim_backbones.training.train import add_training_options, openmmlab_parser, parsed, train

if __name__ == '__main__':
    with errors_in_one_line('train.py'):
        train(**parsed(add_training_options(openmmlab_parser(__doc__))))
