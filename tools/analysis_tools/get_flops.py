"""Parameters and multiply-adds of a config's model, counted by mmengine's analysis.

python tools/analysis_tools/get_flops.py CONFIG --shape 512 512
"""

from mim_backbones.console.cli import errors_in_one_line
from mim_backbones.training.train import config_parser, parsed


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument(
        '--shape', type=int, nargs='+', metavar='PX',
        help='height and width of the image; default: what the backbone was made for',
    )  # fmt: skip
    arguments = parsed(parser)

    from mim_backbones.bench.complexity import complexity
    from mim_backbones.console.recipes import find_recipe
    from mim_backbones.training.config import read_config

    cfg = read_config(find_recipe(arguments['config']), arguments['options'])
    print(complexity(cfg, arguments['shape']))


if __name__ == '__main__':
    with errors_in_one_line('get_flops.py'):
        main()
