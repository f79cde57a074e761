"""`mimbench report`: a folder of results -> one page, Markdown, CSV."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from downstream.report.content import Report


@click.command()
@click.argument('results_dir', type=click.Path(path_type=Path))
@click.option('--out', type=click.Path(path_type=Path), required=True, help='Folder to write to.')
@click.option(
    '--baseline', metavar='NAME', help="Checkpoint to take differences to [default: 'random init']."
)
@click.option(
    '--order', metavar='NAME,..', help='Rows that come first. [default: by name, baselines last]'
)
@click.option(
    '--by-name', is_flag=True,
    help='Checkpoints of one name are one row: each seed is a pre-training of its own.',
)  # fmt: skip
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
    help='What a work reports for these checkpoints on another task, or what was measured of them; '
    'shown beside the scores here.',
)  # fmt: skip
@click.option('--note', default='', help='A sentence that goes with those.')
@click.option(
    '--splits', default=200, show_default=True, type=click.IntRange(50, 10_000),
    help='Halvings of the test set behind each interval.',
)  # fmt: skip
@click.option('--json', 'as_json', is_flag=True, help='Print the numbers as JSON.')
def report(
    results_dir: Path,
    out: Path,
    baseline: str | None,
    order: str | None,
    by_name: bool,
    title: str,
    pictures: tuple[str, ...],
    published: Path | None,
    beside: Path | None,
    note: str,
    splits: int,
    as_json: bool,
) -> None:
    """Turn the results in RESULTS_DIR into a report with uncertainty.

    Writes OUT/report.html (one page that needs nothing beside it), report.md with figures/,
    report.csv, and robustness.csv where results hold scores under corruption. Only results of the
    same task, protocol and data are compared with each other; a difference is marked where two or
    more trainings (seeds) a side show the noise of training.

    \b
    Examples:
      mimbench report results --out report
      mimbench report results --out report --baseline mae --title 'MAE or SimMIM'
      mimbench report results --out report --picture 'Reconstruction=work/recon.png'
      mimbench report results --out report --json | jq '.numbers[] | select(.clear_of_zero)'

    Exit codes: 0 done; 2 something in the results, or OUT, has to be mended first.
    """
    from downstream.report.content import gather
    from downstream.report.formats.table_csv import numbers, robustness_numbers
    from downstream.report.formats.write import write_report
    from mim_backbones.console.atomic_file import check_writable

    # asked of what is there, so that wrong input leaves no empty folder behind
    check_writable(next(path for path in (out, *out.absolute().parents) if path.exists()))
    first = [name.strip() for name in order.split(',')] if order else []
    found = gather(
        results_dir, title, baseline, pictures, published, splits, beside, note, first, by_name
    )
    page = write_report(found, out)
    if as_json:
        content = {'page': str(page), 'numbers': numbers(found)}
        content['robustness'] = robustness_numbers(found)
        click.echo(json.dumps(content, indent=2))
        return
    from rich.console import Console

    Console(markup=False).print(_headline(found))
    click.echo(f'report: {page}')


def _headline(found: 'Report') -> 'RichTable':
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from downstream.report.formats.markdown import headline_cell
    from downstream.report.formats.wording import legend

    table = Table(
        title=found.title,
        box=box.SIMPLE_HEAD,
        caption=legend(found.tables, found.baselines),
        caption_justify='left',
    )
    heads = []
    for one, metric in found.columns:
        group = one.group
        name = f'{group.task} {group.metric_name(metric)}'
        where = [group.data_text] * (group.task in found.split_tasks)
        heads.append('\n'.join((name, group.protocol_text, *where)))
    lines = [
        [label, *(headline_cell(found.row(one, label), key, '\n') for one, key in found.columns)]
        for label in found.labels
    ]
    lines.insert(0, ['checkpoint', *heads])
    if len(heads) > len(found.labels):  # the longer side goes down the screen
        lines = [list(line) for line in zip(*lines)]
    for head in lines[0]:
        table.add_column(Text(head), overflow='fold')  # nothing of a changed option is cut off
    for line in lines[1:]:
        table.add_row(*(Text(cell) for cell in line))
    return table
