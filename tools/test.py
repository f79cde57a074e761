"""Evaluate a trained detector, segmenter or tracker with the config it was trained with.

python tools/test.py CONFIG CHECKPOINT --work-dir work_dirs/eval
"""

from mim_backbones.console.cli import errors_in_one_line
from mim_backbones.training.train import add_test_options, evaluate, openmmlab_parser, parsed

if __name__ == '__main__':
    with errors_in_one_line('test.py'):
        evaluate(**parsed(add_test_options(openmmlab_parser(__doc__))))
