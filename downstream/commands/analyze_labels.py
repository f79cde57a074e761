"""`mimbench analyze labels`: scores of checkpoints against the number of labels."""

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mim_backbones.console.options import Words, backbone_option, cfg_options, parse_options

if TYPE_CHECKING:
    from rich.table import Table

    from downstream.classification.labels.summary import LabelScore


class Numbers(click.ParamType):
    """'1,2,5' -> (1, 2, 5), each within bounds and once.

    Args:
        kind: of a number, int or float.
        least, most: bounds; `least` itself is too little for a float.
    """

    name = 'numbers'

    def __init__(self, kind: type, least: float, most: float) -> None:
        self.kind, self.least, self.most = kind, least, most

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(dict.fromkeys(self.kind(word) for word in value.split(',')))
        except ValueError:
            self.fail(f'{value!r} is no list of numbers such as 1,2,5', param, ctx)
        wrong = next((one for one in found if not self._fits(one)), None)
        if wrong is not None:
            self.fail(f'{wrong} is not within {self.least:g} and {self.most:g}', param, ctx)
        return found

    def _fits(self, number: float) -> bool:
        above = number >= self.least if self.kind is int else number > self.least
        return above and number <= self.most


def reading_protocols() -> list[str]:
    from downstream.evaluation.protocols import recipes

    return [name for name, one in recipes().items() if one.protocol.task == 'classification']


@click.command()
@click.argument('checkpoints', nargs=-1, required=True, metavar='CKPT...')
@click.option(
    '--data', required=True, type=click.Path(path_type=Path), metavar='YAML',
    help='Data YAML with a section `classification`.',
)  # fmt: skip
@click.option('--out', required=True, type=click.Path(path_type=Path), help='Folder to write to.')
@click.option(
    '--protocol', 'protocols', multiple=True, required=True, metavar='NAME,...',
    type=Words(reading_protocols, 'protocol', several=True),
    help='That read features: k-NN, ridge, logistic (mimbench protocols --task classification).',
)  # fmt: skip
@click.option(
    '--per-class', type=Numbers(int, 1, 10**6), default=(), metavar='N,...',
    help='Labelled pictures of each class.',
)  # fmt: skip
@click.option(
    '--share', 'shares', type=Numbers(float, 0, 1), default=(), metavar='S,...',
    help='Labelled share of each class, as 0.01,0.1.',
)  # fmt: skip
@click.option(
    '--list', 'lists', multiple=True, type=click.Path(path_type=Path), metavar='FILE',
    help='File names of labelled training pictures, one a line, as published; repeatable.',
)  # fmt: skip
@click.option(
    '--seeds', type=click.IntRange(1, 1000), default=5, show_default=True,
    help='Draws of the labelled pictures, and random starts.',
)  # fmt: skip
@backbone_option
@click.option('--arch', metavar='CONFIG', help='Config whose model.backbone describes CKPT.')
@cfg_options
@click.option('--json', 'as_json', is_flag=True, help='Print the rows as JSON.')
def labels(
    checkpoints: tuple[str, ...],
    data: Path,
    out: Path,
    protocols: tuple[tuple[str, ...], ...],
    per_class: tuple[int, ...],
    shares: tuple[float, ...],
    lists: tuple[Path, ...],
    seeds: int,
    backbone: dict[str, Any],
    arch: str | None,
    cfg_options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Draw top-1 against the number of labelled pictures, for each CKPT and protocol.

    CKPT is as for `mimbench eval`: a file, timm:NAME, NAME=CKPT, or `random`. Features of all
    pictures are computed once for each of them, and every score is the one `mimbench eval` finds
    with the same protocol, labels and seed. Writes OUT/labels.png, .svg, .csv and .json, and the
    lists of labelled pictures, OUT/lists, in the form that --list reads.

    Intervals cover other test pictures and other draws of labels, for `random` other starts too;
    they say nothing of other pre-trainings (docs/classification.md).

    \b
    Examples:
      mimbench analyze labels mae=a.pth moco=b.pth random --data my.yaml --out few \\
          --protocol ridge-vit-10-shot,knn-vit-in1k --per-class 1,2,5,10,20
      mimbench analyze labels a.pth --data my.yaml --out few --protocol logistic-vit-10-shot \\
          --share 0.01,0.1 --list 1percent.txt --seeds 3

    Exit codes: 0 done; 2 wrong input, nothing was computed.
    """
    if not (per_class or shares or lists):
        raise click.UsageError('give numbers of labels: --per-class, --share or --list')

    from mmengine.logging import MMLogger

    from downstream.classification.data import train_index
    from downstream.classification.labels.lists import read_list
    from downstream.classification.labels.summary import figure, summarise, table_csv
    from downstream.classification.labels.sweep import Labels, sweep, write_lists
    from downstream.evaluation.contestants import open_contestants
    from downstream.evaluation.plan import Request, plan_jobs
    from mim_backbones.console.atomic_file import check_writable, write_bytes_atomically
    from mim_backbones.data_spec import load_data_spec, require

    spec = load_data_spec(data)
    training = train_index(require(spec, 'classification'))
    counts = [Labels(f'{n} a class', per_class=n) for n in per_class]
    counts += [Labels(f'{100 * share:g} %', share=share) for share in shares]
    counts += [Labels(path.name, listed=read_list(path, training.files)) for path in lists]
    request = Request(
        sources=checkpoints,
        data=data,
        out=out,
        tasks=('classification',),
        protocols=tuple(dict.fromkeys(name for names in protocols for name in names)),
        seeds=tuple(range(seeds)),
        arch=arch,
        backbone=backbone,
        options=parse_options(cfg_options),
    )
    check_writable(out)
    planned = plan_jobs(request, open_contestants(checkpoints, arch, backbone), spec)
    MMLogger.get_current_instance().setLevel('WARNING')  # of each model, how it was initialised
    cells = list(sweep(planned, counts, lambda line: click.echo(line, err=True)))
    rows = summarise(cells)
    write_lists(out / 'lists', planned, counts, training)
    record = {
        'command': shlex.join(['mimbench', *sys.argv[1:]]),
        'rows': [asdict(row) for row in rows],
        'cells': [{k: v for k, v in vars(cell).items() if k != 'units'} for cell in cells],
    }
    write_bytes_atomically(out / 'labels.json', json.dumps(record, indent=2).encode())
    write_bytes_atomically(out / 'labels.csv', table_csv(rows).encode())
    for form in ('png', 'svg'):
        write_bytes_atomically(out / f'labels.{form}', figure(rows, form))
    if as_json:
        click.echo(json.dumps(record['rows'], indent=2))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 80) if console.is_terminal else 200
    console.print(shown(rows))
    click.echo(f'figure: {out / "labels.png"}')


def shown(rows: 'list[LabelScore]') -> 'Table':
    """A line for each row, with the difference to the first checkpoint."""
    from rich.table import Table

    table = Table(box=None, header_style='bold')
    for column in ('checkpoint', 'protocol', 'labels'):
        table.add_column(column)
    for column in ('pictures', 'top-1', '95 %', f'minus {rows[0].checkpoint}'):
        table.add_column(column, justify='right')
    for row in rows:
        gap = ''
        if row.minus_first is not None:
            gap = f'{row.minus_first:+.1f} [{row.minus_low:+.1f}, {row.minus_high:+.1f}]'
        bounds = f'[{row.low:.1f}, {row.high:.1f}]'
        named = (row.checkpoint, row.protocol, row.asked)
        table.add_row(*named, f'{row.labels:g}', f'{row.top1:.1f}', bounds, gap)
    return table
