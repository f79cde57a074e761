"""`mimbench bench eval`: our evaluators against pycocotools' and mmseg's."""

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from downstream.bench.versus import Versus

TASKS = ('detection', 'segmentation')
COLUMNS = ('what', 'against', 'images', 'ours s', 'theirs s', 'faster', 'by CPU', 'ours MiB',
           'theirs MiB', 'share', 'difference', 'intervals s')  # fmt: skip


@click.command('eval')
@click.option('--task', type=click.Choice(TASKS), help='One of them. [default: both]')
@click.option(
    '--images', type=click.IntRange(min=1), default=1000, show_default=True,
    help='Generated images of each task.',
)  # fmt: skip
@click.option('--json', 'as_json', is_flag=True, help='Print the figures as JSON.')
def bench_eval(task: str | None, images: int, as_json: bool) -> None:
    """Time and peak memory of scoring, ours and theirs, from the same predictions.

    The images are generated: COCO's size and counts (7.3 objects of 80 categories in 640 x 480, 100
    detections with masks), ADE20K's (150 classes, 512 x 683). Each side runs in a process of its
    own on one thread; its time starts with the predictions of the first image in memory and ends
    with the figures, its peak is counted from there. Ours includes the scores of each image that
    intervals are made from; "intervals" is the time of an interval's 401 weightings, on top.

    \b
    What both sides are given:
      detection     boxes, scores, labels, encoded masks; they write JSON and read it, we do not
      segmentation  label maps of int64
      logits        150 x 128 x 128; resizing to 512 x 683 and argmax are in both sides

    "by CPU" is the ratio of processor times: it holds where other processes slow either side down.
    "difference" is the largest between two figures in percent points. pycocotools counts in float64
    as we do; mmseg adds pixels in float32, so that the difference there is its own.

    \b
    Examples:
      mimbench bench eval
      mimbench bench eval --task detection --images 200
      mimbench bench eval --json | jq '.[] | {what, speedup, memory_share}'

    \b
    Exit codes: 0 measured; 2 wrong usage.
    """
    from downstream.bench.versus import compare

    found = []
    for row in compare((task,) if task else TASKS, images):
        if not as_json:
            if not found:
                click.echo(LINE.format(*COLUMNS))
            click.echo(_line(row))
        found.append(row)
    if as_json:
        click.echo(json.dumps([row.as_record() for row in found], indent=2))


LINE = '{:13} {:32} {:>6} {:>8} {:>9} {:>7} {:>7} {:>9} {:>11} {:>6} {:>11} {:>12}'


def _line(row: 'Versus') -> str:
    def number(value: float | None, digits: int = 1) -> str:
        return '-' if value is None else f'{value:.{digits}f}'

    return LINE.format(
        row.what, row.opponent, row.images, number(row.seconds, 2), number(row.their_seconds, 2),
        f'{row.speedup:.1f}x', f'{row.cpu_speedup:.1f}x', number(row.peak_mib),
        number(row.their_peak_mib), number(row.memory_share, 2), f'{row.difference:.1e}',
        number(row.interval_seconds, 2),
    )  # fmt: skip
