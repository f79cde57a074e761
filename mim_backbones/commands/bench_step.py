"""`mimbench bench step`: how fast a recipe trains on this machine."""

import json as json_module
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mim_backbones.console.options import Words, cfg_options, parse_options
from mim_backbones.console.recipes import find_recipe, recipe_names
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from mim_backbones.bench.step import StepRow

LINE = '{:5} {:>9} {:>9} {:>11} {:>8} {:>15} {:>6} {:>15} {:>6} {:>9} {:>8} {:>15} {:>8}'
COLUMNS = (
    'dtype', 'images/s', 'ms/step', 'GFLOP/step', 'GFLOP/s', 'matmul GFLOP/s', 'share',
    'square GFLOP/s', 'share', 'peak MiB', 'speedup',
    'target images/s', 'of step',
)  # fmt: skip


@click.command()
@click.option(
    '--config', required=True, type=Words(recipe_names, 'recipe', strict=False),
    help='Recipe of a pre-training: a file, or as `simmim`.',
)  # fmt: skip
@click.option(
    '--batch', type=click.IntRange(min=1), default=4, show_default=True, help='Images a step.'
)
@click.option(
    '--dtype', type=click.Choice(['fp32', 'bf16', 'both']), default='both', show_default=True
)
@click.option(
    '--repeats', type=click.IntRange(min=1), default=5, show_default=True,
    help='Timed steps in each dtype; the median counts.',
)  # fmt: skip
@click.option('--threads', type=click.IntRange(1, 1024), help='Of the CPU; all cores if not given.')
@click.option(
    '--device', type=click.Choice(['cpu', 'cuda']), help='The GPU if there is one, if not given.'
)
@cfg_options
@click.option('--json', 'as_json', is_flag=True, help='Print the figures as JSON.')
def step(
    config: str,
    batch: int,
    dtype: str,
    repeats: int,
    threads: int | None,
    device: str | None,
    cfg_options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Real training steps of a recipe on noise: images/s, FLOP/s, share of the machine's limit.

    The step is forward, backward and optimizer; its FLOP/s are counted over forward and backward.
    Each "share" is of the limit to its left, measured between the steps in the same dtype:
    "matmul", the step's own matrix products with nothing between them, and "square", one product
    of 2048 x 2048 matrices. "target" is what the model is to predict, as a teacher's features, made
    by itself, and "of step" its share of the step's time.

    \b
    mimbench bench step --config configs/pretrain/simmim.py
    mimbench bench step --config configs/pretrain/simmim_vit-b_800e.py --batch 8 --dtype bf16
    mimbench bench step --config my.py --cfg-options model.backbone.with_cp=True --json
    """
    options = parse_options(cfg_options)
    import torch
    from mmengine.logging import MMLogger

    from mim_backbones.bench.step import measure
    from mim_backbones.console.processes import cores
    from mim_backbones.training.config import read_config

    if device == 'cuda' and not torch.cuda.is_available():
        raise UserError('--device cuda: this machine has no CUDA device; leave it out')
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    torch.set_num_threads(threads or cores())
    # Building a recipe logs a line for each parameter, on stdout in some versions of mmengine.
    MMLogger.get_current_instance().setLevel('ERROR')
    dtypes = ('fp32', 'bf16') if dtype == 'both' else (dtype,)
    rows = measure(read_config(find_recipe(config), options), batch, dtypes, repeats, device)
    if as_json:
        head = {
            'config': config, 'device': device, 'threads': torch.get_num_threads(), 'batch': batch,
        }  # fmt: skip
        click.echo(json_module.dumps({**head, 'rows': [asdict(row) for row in rows]}, indent=1))
        return
    where = f'{torch.get_num_threads()} threads' if device == 'cpu' else device
    click.echo(f'{Path(config).stem}, batch {batch}, {where}')
    click.echo(LINE.format(*COLUMNS))
    for row in rows:
        click.echo(line(row))


def line(row: 'StepRow') -> str:
    return LINE.format(
        row.dtype,
        f'{row.images_per_second:.2f}',
        f'{row.seconds * 1e3:.0f}',
        f'{row.flops / 1e9:.1f}',
        f'{row.flops_per_second / 1e9:.0f}',
        f'{row.matmul_flops_per_second / 1e9:.0f}',
        f'{row.share:.2f}',
        f'{row.square_flops_per_second / 1e9:.0f}',
        f'{row.square_share:.2f}',
        '-' if row.peak_mib is None else f'{row.peak_mib:.0f}',
        f'{row.speedup:.2f}x',
        '-' if row.target_images_per_second is None else f'{row.target_images_per_second:.2f}',
        '-' if row.target_share is None else f'{row.target_share:.3f}',
    )
