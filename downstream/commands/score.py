"""`mimbench score`: predictions made elsewhere become a result."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from downstream.task import Evaluation, Task, find_task, task_names, tasks
from mim_backbones.console.options import SEED, Words


def scoring_tasks() -> list[str]:
    """Every word of a task that scores predictions."""
    return [word for word, name in task_names().items() if tasks()[name].score_predictions]


@click.command()
@click.option(
    '--task', required=True, type=Words(scoring_tasks, 'task that scores predictions'),
    metavar='NAME', help='Of what: classification, detection, segmentation, tracking.',
)  # fmt: skip
@click.option(
    '--predictions', required=True, type=click.Path(path_type=Path), metavar='FILE|DIR',
    help='COCO results (JSON), a folder of label maps (PNG), tracking results, or class scores.',
)  # fmt: skip
@click.option(
    '--protocol', metavar='NAME',
    help='Of a task that several evaluators score differently, which; tracking: ostrack.',
)  # fmt: skip
@click.option(
    '--data', required=True, type=click.Path(path_type=Path), metavar='YAML',
    help='Data file whose val split they are of.',
)  # fmt: skip
@click.option('--name', required=True, help='What the row is called.')
@click.option(
    '--seed', type=SEED, default=0, show_default=True, help='Of the training, where there are more.'
)
@click.option(
    '--out', required=True, type=click.Path(path_type=Path), metavar='RESULTS',
    help='Folder of results, as `mimbench eval` writes to.',
)  # fmt: skip
@click.option('--json', 'as_json', is_flag=True, help='Print the result as JSON.')
def score(
    task: str,
    predictions: Path,
    protocol: str | None,
    data: Path,
    name: str,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """Score predictions that were made elsewhere; a JSON result and its unit scores go to RESULTS.

    The row has intervals and comparisons in `mimbench report` as any other, under a protocol of its
    own: it is never mixed with what a recipe of this suite trained.

    \b
    detection     a list of {image_id, category_id, score, bbox and / or segmentation}, ids as in
                  the annotations; an image without an entry counts as one without detections
    segmentation  a label map for each of the val split's, of its name and size, in the data set's
                  own numbers (with reduce_zero_label class k is k + 1)
    tracking      a box x,y,w,h a line for every frame of every test sequence, in the layout of
                  pytracking, OSTrack, the GOT-10k toolkit, LaSOT's toolkit, or a server's zip;
                  protocols: ostrack, pytracking, lasot_matlab, mmtracking, mmtracking_visible,
                  and got10k (AO and SR) for data of that layout
    classification  a CSV that begins with `name,top1,...,top5` (classes, the likeliest first), or
                  with `name` and every class (their scores); an NPZ of names and scores (N, C); or
                  an NPY of scores in the order of the val split's listing

    \b
    Examples:
      mimbench score --task detection --predictions r.json --data my.yaml --name dino --out results
      mimbench score --task ade20k --predictions maps/ --data my.yaml --name dino --out results
      mimbench score --task coco --predictions b.json --data my.yaml --name a --seed 1 --out out
      mimbench score --task imagenet --predictions p.csv --data my.yaml --name dino --out results
      mimbench score --task lasot --predictions tracks/ --protocol pytracking --data my.yaml
          --name dino --out results

    \b
    Exit codes: 0 scored; 2 the predictions or the data have to be mended first.
    """
    from downstream.evaluation.elsewhere import score_elsewhere
    from downstream.evaluation.run import as_record
    from mim_backbones.console.atomic_file import check_writable
    from mim_backbones.data_spec import load_data_spec, require

    found = find_task(task)
    section = require(load_data_spec(data), found.name)
    check_writable(out)
    command = shlex.join(['mimbench', *sys.argv[1:]])
    path, result, evaluation = score_elsewhere(
        found, section, predictions, name, seed, out, command, protocol
    )
    if as_json:
        print_notes(found, evaluation)
        click.echo(json.dumps(as_record(path, result), indent=2))
        return
    print_scores(found, evaluation)
    click.echo(f'result: {path}')


def print_scores(task: Task, evaluation: Evaluation) -> None:
    """Metrics and tables as text; what was scored otherwise than usual on stderr."""
    print_notes(task, evaluation)
    for key, words in task.metrics.items():
        if key in evaluation.metrics:
            click.echo(f'{words:16} {evaluation.metrics[key]:6.2f}')
    if evaluation.rules:
        click.echo(f'{"by the rules of":16} {evaluation.rules}')
    for title, rows in evaluation.tables.items():
        click.echo(f'\n{_table(title, rows)}\n')


def print_notes(task: Task, evaluation: Evaluation) -> None:
    for note in evaluation.notes:
        click.echo(f'{task.name}: {note}', err=True)


def _table(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Names to the left, a column for each number any row has."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    wide = max(map(len, (title, *rows)))
    lines = [' '.join([f'{title:{wide}}', *(f'{column:>10}' for column in columns)])]
    for name, row in rows.items():
        cells = (f'{row[key]:10.4g}' if key in row else ' ' * 10 for key in columns)
        lines.append(' '.join([f'{name:{wide}}', *cells]))
    return '\n'.join(line.rstrip() for line in lines)
