"""`mimbench bench`: how fast the parts run on this machine."""

import json as json_module
from dataclasses import asdict

import click

from mim_backbones.commands.bench_step import step
from mim_backbones.errors import UserError


@click.group()
def bench() -> None:
    """Measure the parts of mimbench on this machine."""


bench.add_command(step)


@bench.command()
@click.option(
    '--repeats', type=click.IntRange(min=1), default=5, show_default=True,
    help='Timed calls per op; the median counts.',
)  # fmt: skip
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


@bench.command()
@click.option(
    '--tokens',
    multiple=True,
    type=click.IntRange(min=4),
    default=(1024, 4096),
    show_default=True,
    help='Tokens of the square grid; may be given several times.',
)
@click.option(
    '--heads', type=click.IntRange(min=1), default=6, show_default=True,
    help='Heads of 64 channels.',
)  # fmt: skip
@click.option(
    '--repeats', type=click.IntRange(min=1), default=3, show_default=True,
    help='Timed calls; the median counts.',
)  # fmt: skip
@click.option(
    '--threads', type=click.IntRange(min=1), help="CPU threads; torch's choice if not given."
)
@click.option('--device', type=click.Choice(['cpu', 'cuda']), default='cpu', show_default=True)
@click.option('--json', 'as_json', is_flag=True, help='Print rows as JSON.')
def attention(
    tokens: tuple[int, ...],
    heads: int,
    repeats: int,
    threads: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Attention with relative positions: time and peak memory beside a naive one, in one run.

    "of T x T": our peak over what one T x T matrix per head takes; below 1 there is none.

    \b
    mimbench bench attention
    mimbench bench attention --tokens 4096 --heads 12 --device cuda --json
    """
    import torch

    from mim_backbones.bench.attention import measure

    if threads:
        torch.set_num_threads(threads)
    if device == 'cuda' and not torch.cuda.is_available():
        raise UserError('--device cuda: this machine has no CUDA device; leave it out')
    line = '{:13} {:>6} {:21} {:>8} {:>9} {:>8} {:>7} {:>7} {:>7} {:>9} {:24}'
    columns = ('positions', 'tokens', 'pass', 'ms', 'naive ms', 'speedup', 'MiB', 'naive')
    if not as_json:
        click.echo(line.format(*columns, 'memory', 'of T x T', 'kernel'))
    rows = []
    try:
        for row in measure(tokens, heads, repeats, device):
            rows.append(asdict(row))
            if as_json:
                continue
            memory = ('-', '-', '-', '-')
            if row.peak_mib is not None and row.naive_peak_mib is not None:
                memory = (
                    f'{row.peak_mib:.0f}',
                    f'{row.naive_peak_mib:.0f}',
                    '-' if row.memory_ratio is None else f'{row.memory_ratio:.1f}x',
                    f'{row.peak_of_scores:.2f}',
                )
            click.echo(
                line.format(
                    row.positions,
                    row.tokens,
                    row.passes,
                    f'{row.seconds * 1e3:.1f}',
                    f'{row.naive_seconds * 1e3:.1f}',
                    f'{row.speedup:.1f}x',
                    *memory,
                    row.kernel,
                ).rstrip()
            )
    except ValueError as error:
        raise UserError(str(error)) from error
    if as_json:
        click.echo(json_module.dumps(rows, indent=1))
