"""`mimbench convert`: any checkpoint -> our, timm's or OpenMMLab's names."""

import json
from pathlib import Path
from typing import Any

import click

from mim_backbones.console.options import backbone_option
from mim_backbones.errors import UserError


@click.command()
@click.argument('source', metavar='IN')
@click.argument('target', metavar='OUT', type=click.Path(path_type=Path))
@click.option(
    '--to', 'form', required=True,
    type=click.Choice(['mimbench', 'timm', 'openmmlab', 'safetensors']),
    help='Whose names; safetensors: ours in that format.',
)  # fmt: skip
@backbone_option
@click.option(
    '--weights', type=click.Choice(['auto', 'ema', 'plain']), default='auto', show_default=True,
    help='Averaged or plain weights, where IN has both.',
)  # fmt: skip
@click.option('--trust', is_flag=True, help='Run the code IN asks for; only for your own files.')
@click.option('--json', 'as_json', is_flag=True, help='Print the report as JSON.')
def convert(
    source: str,
    target: Path,
    form: str,
    backbone: dict[str, Any],
    weights: str,
    trust: bool,
    as_json: bool,
) -> None:
    """Write the backbone in IN to OUT, and say what became of every key.

    IN is a checkpoint of any known kind or timm:NAME. OUT ends in .pth, .pt, .bin or .safetensors
    and is only written when IN covers the whole backbone.

    \b
    Examples:
      mimbench convert mae_pretrain_vit_base.pth vit.pth --to timm
      mimbench convert work_dirs/simmim/epoch_16.pth swin.pth --to openmmlab
      mimbench convert timm:hiera_tiny_224.mae hiera.safetensors --to safetensors
      mimbench convert tiny.pth out.pth --to mimbench --backbone num_heads=12 --json

    \b
    Exit codes: 0 written; 2 IN cannot be used or OUT cannot be written.
    """
    from mim_backbones.checkpoints.export.file import convert as write

    if target.exists() and Path(source).exists() and target.samefile(source):
        raise UserError(f'{target} is IN and OUT; choose another name for OUT')
    report = write(source, target, form, trust=trust, weights=weights, **backbone)
    if as_json:
        click.echo(json.dumps({**report.as_dict(), 'written': str(target)}, indent=2))
    else:
        click.echo(f'{report.as_text()}\nwritten to {target}')
