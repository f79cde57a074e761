"""`mimbench train`: tools/train.py as a command."""

import os
from typing import Any

import click

from mim_backbones.console.options import Words, cfg_options, parse_options
from mim_backbones.console.recipes import recipe_names
from mim_backbones.training.train import LAUNCHERS

LAST = 'last'  # what --resume alone stands for


@click.command()
@click.argument('config', type=Words(recipe_names, 'recipe', strict=False))
@click.option('--work-dir', help='Logs and checkpoints. [default: work_dirs/CONFIG]')
@click.option('--data', help='Data YAML or its folder; for pre-training also a folder of images.')
@click.option(
    '--resume', is_flag=False, flag_value=LAST, metavar='[CHECKPOINT]',
    help='Go on from the last checkpoint of the work directory, or from this one.',
)  # fmt: skip
@click.option('--amp', is_flag=True, help='Half precision (bf16 on a CPU).')
@click.option(
    '--compile', is_flag=True,
    help='Compile the loss (torch.compile); needs a C++ compiler, on a GPU Triton.',
)  # fmt: skip
@click.option('--auto-scale-lr', is_flag=True, help='Scale the rate by the real batch.')
@click.option('--launcher', type=click.Choice(LAUNCHERS), default='none', show_default=True)
@cfg_options
def train(config: str, cfg_options: tuple[str, ...], resume: str | None, **arguments: Any) -> None:
    """Train what CONFIG describes: pre-training, detection, segmentation, tracking.

    CONFIG is a file, or a recipe that came with mimbench: `pretrain/simmim.py`, or its name alone.
    The same as tools/train.py, except that --cfg-options is given again for each override.

    \b
    Examples:
      mimbench train simmim --data world --work-dir work_dirs/simmim
      mimbench train my.py --resume --cfg-options train_cfg.max_epochs=10
      torchrun --nproc_per_node 8 -m mim_backbones.console.cli train simmim --launcher pytorch

    \b
    Exit codes: 0 trained; 2 the recipe, the data or the work directory cannot be used.
    """
    from mim_backbones.training import train as training

    os.environ.setdefault('LOCAL_RANK', '0')
    training.train(
        config,
        options=parse_options(cfg_options),
        resume=resume == LAST or resume or False,
        **arguments,
    )
