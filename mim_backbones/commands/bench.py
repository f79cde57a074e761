"""`mimbench bench`: how fast the parts run on this machine."""

import json as json_module
from dataclasses import asdict

import click


@click.group()
def bench() -> None:
    """Measure the parts of mimbench on this machine."""


@bench.command()
@click.option(
    '--repeats', default=5, show_default=True, help='Timed calls per op; the median counts.'
)
@click.option(
    '--threads', type=click.IntRange(min=1), help="CPU threads; torch's choice if not given."
)
@click.option('--json', 'as_json', is_flag=True, help='Print rows as JSON.')
def ops(repeats: int, threads: int | None, as_json: bool) -> None:
    """Time and peak memory of mmcv's ops, whoever provides them, beside naive PyTorch.

    \b
    mimbench bench ops
    mimbench bench ops --threads 1 --json > ops.json
    """
    import torch

    from mim_backbones.bench.ops import measure

    if threads:
        torch.set_num_threads(threads)
    rows = measure(repeats)
    if as_json:
        click.echo(json_module.dumps([asdict(row) for row in rows], indent=1))
        return
    line = '{:20} {:34} {:14} {:>9} {:>9} {:>9} {:>8}'
    click.echo(line.format('op', 'case', 'provider', 'ms', 'peak MiB', 'naive ms', 'speedup'))
    for row in rows:
        click.echo(
            line.format(
                row.op,
                row.case,
                row.provider,
                f'{row.seconds * 1e3:.1f}',
                '-' if row.peak_mib is None else f'{row.peak_mib:.0f}',
                '-' if row.naive_seconds is None else f'{row.naive_seconds * 1e3:.1f}',
                '-' if row.speedup is None else f'{row.speedup:.1f}x',
            )
        )
