"""`mimbench synth`: write the synthetic world in the layouts of the real data sets."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from downstream.synthetic.sizes import PART_NAMES, SIZES
from mim_backbones.errors import UserError

PER_CORE = 8  # workers; more only wait


@click.command()
@click.argument('out', type=click.Path(path_type=Path))
@click.option('--size', type=click.Choice(list(SIZES)), default='small', show_default=True)
@click.option('--seed', type=click.IntRange(0, 2**63 - 1), default=0, show_default=True)
@click.option('--workers', type=click.IntRange(min=1), help='Processes. [default: all cores]')
@click.option('--only', metavar='PART,..', help=f'Some of: {", ".join(PART_NAMES)}.')
@click.option('--json', 'as_json', is_flag=True, help='Print counts and speed as JSON.')
def synth(
    out: Path, size: str, seed: int, workers: int | None, only: str | None, as_json: bool
) -> None:
    """Write the synthetic world to the folder OUT.

    Writes imagenet/, coco/, ade/, lasot/ and data.yaml. The same size and seed give the same
    bytes, whatever the number of workers. An OUT that already holds this world is left alone.

    \b
    Examples:
      mimbench synth world --size tiny
      mimbench synth world --seed 7 --workers 2
      mimbench synth world --only detection,segmentation --json

    \b
    Exit codes: 0 written, or already there; 2 OUT holds something else or cannot be written.
    """
    from downstream.synthetic.build import build_world
    from mim_backbones.console.processes import cores

    if workers is not None and workers > PER_CORE * cores():
        raise UserError(
            f'--workers {workers}: {cores()} cores take at most {PER_CORE * cores()}; each needs '
            'memory of its own'
        )
    parts = _parts(only)
    with _progress_bar(f'synthetic world, {size}') as show:
        summary = build_world(out, SIZES[size], seed, workers or cores(), parts, show)
    if as_json:
        click.echo(json.dumps({'out': str(out), 'size': size, 'seed': seed, **summary.as_dict()}))
    elif summary.already_there:
        click.echo(f'{out}: already there (size {size}, seed {seed})')
    else:
        click.echo(f'{out}: ' + ', '.join(f'{n} {name}' for name, n in summary.counts.items()))
        click.echo(
            f'{summary.pictures} pictures in {summary.seconds:.1f} s, '
            f'{summary.pictures_per_second_per_worker:.0f} a second and worker '
            f'({summary.workers} workers)'
        )


def _parts(only: str | None) -> tuple[str, ...]:
    """'detection,tracking' -> the names in their usual order."""
    if only is None:
        return PART_NAMES
    wanted = [name.strip() for name in only.split(',')]
    unknown = [name for name in wanted if name not in PART_NAMES]
    if unknown:
        raise UserError(f'--only: unknown part {unknown[0]!r}; choose from {", ".join(PART_NAMES)}')
    return tuple(name for name in PART_NAMES if name in wanted)


@contextmanager
def _progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function to call with the number done and in all. On stderr: stdout is for data."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
