"""Try every config that mmdet and mmseg ship with each of our backbones; write the table.

python tools/stock_configs.py                        # docs/stock_configs.md, about 20 minutes
python tools/stock_configs.py --only mask_rcnn --out table.md --jobs 4
"""

import argparse
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mim_backbones.console.cli import errors_in_one_line
from mim_backbones.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
DISTRIBUTIONS = ('onedl-mmdetection', 'mmdet', 'onedl-mmsegmentation', 'mmsegmentation')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--out', type=Path, default=ROOT / 'docs' / 'stock_configs.md')
    parser.add_argument('--only', default='', help='part of the names of the configs to try')
    parser.add_argument('--jobs', type=int, default=1, help='processes')
    arguments = parser.parse_args()

    from downstream.stock.survey import as_markdown, survey

    if arguments.jobs < 1:
        raise UserError(f'--jobs {arguments.jobs}: must be 1 or more')
    rows = survey(arguments.jobs, arguments.only)
    if not rows:
        raise UserError(f'--only {arguments.only}: no stock config has that in its name')
    arguments.out.write_text(as_markdown(rows, ', '.join(installed())))
    print(arguments.out)


def installed() -> list[str]:
    found = []
    for name in DISTRIBUTIONS:
        try:
            found.append(f'{name} {version(name)}')
        except PackageNotFoundError:
            continue
    return found


if __name__ == '__main__':
    with errors_in_one_line('stock_configs.py'):
        main()
