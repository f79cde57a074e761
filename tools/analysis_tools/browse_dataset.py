"""Write pictures of what a config trains on, after its pipeline: images, boxes, labels, masks.

python tools/analysis_tools/browse_dataset.py CONFIG --data DATA --output-dir pictures
"""

from mim_backbones.console.cli import errors_in_one_line
from mim_backbones.training.train import config_parser, parsed


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument('--data', help='as in tools/train.py')
    parser.add_argument('--output-dir', default='browse', help='folder of the pictures')
    parser.add_argument('--count', type=int, default=20, help='pictures')
    parser.add_argument('--not-show', action='store_true', help='accepted: nothing is ever shown')
    arguments = parsed(parser)

    from mim_backbones.console.recipes import find_recipe
    from mim_backbones.training.browse import browse
    from mim_backbones.training.config import read_config
    from mim_backbones.training.overrides import use_data

    cfg = read_config(find_recipe(arguments['config']), arguments['options'])
    if arguments['data']:
        use_data(cfg, arguments['data'])
    print(browse(cfg, arguments['output_dir'], arguments['count']))


if __name__ == '__main__':
    with errors_in_one_line('browse_dataset.py'):
        main()
