"""`mimbench report`: a folder of results -> one page, Markdown, CSV."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from downstream.report.content import Content


@click.command()
@click.argument('results_dir', type=click.Path(path_type=Path))
@click.option('--out', type=click.Path(path_type=Path), required=True, help='Folder to write to.')
@click.option(
    '--baseline', metavar='NAME', help="Checkpoint to take differences to [default: 'random init']."
)
@click.option(
    '--order', metavar='NAME,..', help='Rows that come first. [default: by name, baselines last]'
)
@click.option('--title', default='Dense-prediction benchmark', show_default=True)
@click.option(
    '--picture', 'pictures', multiple=True, metavar='TITLE=PATH',
    help='A further picture to show; can be given several times.',
)  # fmt: skip
@click.option(
    '--published', type=click.Path(path_type=Path), metavar='CSV',
    help='Numbers reported elsewhere; those of the same framework get a table of their own.',
)  # fmt: skip
@click.option(
    '--beside', type=click.Path(path_type=Path), metavar='CSV',
    help='What a work reports for these checkpoints on another task; shown beside the scores here.',
)  # fmt: skip
@click.option('--note', default='', help='A sentence that goes with those.')
@click.option(
    '--resamples', default=2000, show_default=True, type=click.IntRange(min=100),
    help='Draws of the bootstrap.',
)  # fmt: skip
@click.option('--json', 'as_json', is_flag=True, help='Print the numbers as JSON.')
def report(
    results_dir: Path,
    out: Path,
    baseline: str | None,
    order: str | None,
    title: str,
    pictures: tuple[str, ...],
    published: Path | None,
    beside: Path | None,
    note: str,
    resamples: int,
    as_json: bool,
) -> None:
    """Turn the results in RESULTS_DIR into a report with uncertainty.

    Writes OUT/report.html (one page that needs nothing beside it), report.md with figures/, and
    report.csv. Only results of the same task, protocol and data are compared with each other.

    \b
    Examples:
      mimbench report results --out report
      mimbench report results --out report --baseline mae --title 'MAE or SimMIM'
      mimbench report results --out report --picture 'Reconstruction=work/recon.png'
      mimbench report results --out report --json | jq '.numbers[] | select(.clear_of_zero)'

    Exit codes: 0 done; 2 something in the results, or OUT, has to be mended first.
    """
    from downstream.report.content import gather
    from downstream.report.formats.table_csv import numbers
    from downstream.report.formats.write import check_writable, write_report

    check_writable(out)
    first = [name.strip() for name in order.split(',')] if order else []
    content = gather(
        results_dir, title, baseline, pictures, published, resamples, beside, note, first
    )
    page = write_report(content, out)
    if as_json:
        click.echo(json.dumps({'page': str(page), 'numbers': numbers(content)}, indent=2))
        return
    from rich.console import Console

    Console().print(_headline(content))
    click.echo(f'report: {page}')


def _headline(content: 'Content') -> 'RichTable':
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from downstream.report.formats.markdown import headline_cell, headline_columns, row_of
    from downstream.report.formats.wording import against, metric_name

    table = Table(
        title=content.title,
        box=box.SIMPLE_HEAD,
        caption=f'percent [95 % interval], ▲ ▼ ○: difference to {against(content.baselines)} is '
        'above, below, or not clear of zero',
    )
    table.add_column('checkpoint')
    columns = headline_columns(content)
    for one, metric in columns:
        heading = f'{one.group.task} {metric_name(metric)}\n{one.group.protocol}'
        table.add_column(Text(heading))
    for label in content.labels:
        cells = (headline_cell(row_of(one, label), metric, '\n') for one, metric in columns)
        table.add_row(Text(label), *(Text(cell) for cell in cells))
    return table
