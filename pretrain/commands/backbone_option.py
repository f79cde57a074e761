"""`--backbone KEY=VALUE`, of every command that opens a checkpoint."""

from collections.abc import Callable
from typing import Any

import click

from mim_backbones.console.options import parse_options

backbone_option: Callable[..., Any] = click.option(
    '--backbone', multiple=True, metavar='KEY=VALUE',
    callback=lambda ctx, param, value: parse_options(value),
    help='Argument of the backbone that the file does not tell, such as num_heads=6; repeatable.',
)  # fmt: skip
