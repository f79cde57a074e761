"""Print a whole config, its bases and overrides merged.

python tools/analysis_tools/print_config.py CONFIG --cfg-options model.backbone.img_size=192
"""

from mim_backbones.console.cli import errors_in_one_line
from mim_backbones.training.train import config_parser, parsed


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument('--save-path', help='also write it: a file .py, .json or .yml')
    arguments = parsed(parser)

    from mim_backbones.console.recipes import find_recipe
    from mim_backbones.errors import UserError
    from mim_backbones.training.config import read_config

    path = arguments['save_path']
    if path and not path.endswith(('.py', '.json', '.yml')):
        raise UserError(f'--save-path {path}: name a file .py, .json or .yml')
    cfg = read_config(find_recipe(arguments['config']), arguments['options'])
    print(cfg.pretty_text)
    if path:
        cfg.dump(path)


if __name__ == '__main__':
    with errors_in_one_line('print_config.py'):
        main()
