"""`mimbench`: finds its subcommands through the entry-point group `mimbench.commands`.

Each package brings its own commands and none imports another to be listed. A command module
imports nothing heavy at its top, so that `--help` stays quick.

Exit codes: 0 done; 1 the command ran and found a problem; 2 the user can mend it (one line says
how).
"""

import sys
from typing import Any

import click

from mim_backbones.console.plugins import load_plugin, plugins
from mim_backbones.errors import UserError

GROUP = 'mimbench.commands'


class EntryPointGroup(click.Group):
    """A click group whose commands are looked up by name and loaded when asked for.

    Args:
        entry_point_group: where its commands are named.
    """

    def __init__(self, *args: Any, entry_point_group: str = GROUP, **options: Any) -> None:
        super().__init__(*args, **options)
        self.entry_point_group = entry_point_group

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(plugins(self.entry_point_group))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        point = plugins(self.entry_point_group).get(cmd_name)
        return load_plugin(point) if point else None


@click.group(cls=EntryPointGroup, context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(package_name='mimbench')
def mimbench() -> None:
    """Benchmark masked-image-modelling backbones on dense prediction.

    \b
    Training itself is OpenMMLab's way: tools/train.py, tools/dist_train.sh CONFIG GPUS.
    """


def main() -> None:
    try:
        mimbench()
    except UserError as error:
        click.echo(f'mimbench: error: {error}', err=True)
        sys.exit(2)


if __name__ == '__main__':
    main()
