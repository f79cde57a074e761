"""`mimbench score`: predictions made elsewhere become a result."""

import json
import shlex
import sys
from pathlib import Path

import click

from downstream.task import find_task, task_names, tasks
from mim_backbones.console.options import SEED, Words


def scoring_tasks() -> list[str]:
    """Every word of a task that scores predictions."""
    return [word for word, name in task_names().items() if tasks()[name].score_predictions]


@click.command()
@click.option(
    '--task', required=True, type=Words(scoring_tasks, 'task that scores predictions'),
    metavar='NAME', help='What they are predictions of: detection, segmentation.',
)  # fmt: skip
@click.option(
    '--predictions', required=True, type=click.Path(path_type=Path), metavar='FILE|DIR',
    help='COCO results (JSON), or a folder of label maps (PNG).',
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
    task: str, predictions: Path, data: Path, name: str, seed: int, out: Path, as_json: bool
) -> None:
    """Score predictions that were made elsewhere; a JSON result and its unit scores go to RESULTS.

    The row has intervals and comparisons in `mimbench report` as any other, under a protocol of its
    own: it is never mixed with what a recipe of this suite trained.

    \b
    detection     a list of {image_id, category_id, score, bbox and / or segmentation}, ids as in
                  the annotations; an image without an entry counts as one without detections
    segmentation  a label map for each of the val split's, of its name and size, in the data set's
                  own numbers (with reduce_zero_label class k is k + 1)

    \b
    Examples:
      mimbench score --task detection --predictions r.json --data my.yaml --name dino --out results
      mimbench score --task ade20k --predictions maps/ --data my.yaml --name dino --out results
      mimbench score --task coco --predictions b.json --data my.yaml --name a --seed 1 --out out

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
        found, section, predictions, name, seed, out, command
    )
    for note in evaluation.notes:
        click.echo(f'{found.name}: {note}', err=True)
    if as_json:
        click.echo(json.dumps(as_record(path, result), indent=2))
        return
    for key, words in found.metrics.items():
        if key in result.metrics:
            click.echo(f'{words:16} {result.metrics[key]:6.2f}')
    click.echo(f'result: {path}')
