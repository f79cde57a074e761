"""`mimbench`: finds its subcommands through the entry-point group `mimbench.commands`.

Each package brings its own commands and none imports another to be listed. A command module
imports nothing heavy at its top, so that `--help` stays quick.

Exit codes: 0 done; 1 the command ran and found a problem; 2 the user can mend it (one line says
how).
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from mim_backbones.console.options import nearest, warn
from mim_backbones.console.plugins import doubled, load_plugin, plugins
from mim_backbones.errors import UserError

GROUP = 'mimbench.commands'
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a full disk says
# What only the extras of the distribution bring.
STACK = ('mmengine', 'mmcv', 'mmdet', 'mmseg')


class Unavailable(click.Command):
    """Stands for a command that does not load: listed with the reason, which running it raises."""

    def __init__(self, name: str, error: UserError) -> None:
        super().__init__(name)
        self.error = error

    def get_short_help_str(self, limit: int = 45) -> str:
        return f'unavailable: {self.error}'  # whole: the reason stands at the end

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        if options.get('resilient_parsing'):  # a shell completes
            return super().make_context(*args, **options)
        raise self.error


class SuggestingGroup(click.Group):
    """A click group that names the nearest of its commands when there is none as asked for."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            hint = nearest(args[0], self.list_commands(ctx))
            ctx.fail(f'No such command {args[0]!r}{hint}')
        return super().resolve_command(ctx, args)


class EntryPointGroup(SuggestingGroup):
    """A click group whose commands are looked up by name and loaded when asked for.

    Args:
        entry_point_group: where its commands are named.
    """

    def __init__(self, *args: Any, entry_point_group: str = GROUP, **options: Any) -> None:
        super().__init__(*args, **options)
        self.entry_point_group = entry_point_group

    def list_commands(self, ctx: click.Context | None) -> list[str]:
        return list(plugins(self.entry_point_group))

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        point = plugins(self.entry_point_group).get(cmd_name)
        if point is None:
            return None
        try:
            return load_plugin(point, click.Command)
        except UserError as error:
            return Unavailable(cmd_name, error)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        self._warn(doubled(self.entry_point_group, args[0]))
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self._warn(doubled(self.entry_point_group))
        super().format_help(ctx, formatter)

    def _warn(self, lines: list[str]) -> None:
        for line in lines:
            warn(line)


@click.group(
    cls=EntryPointGroup,
    context_settings={'help_option_names': ['-h', '--help']},
    epilog='Completion of commands, tasks and files: eval "$(_MIMBENCH_COMPLETE=bash_source '
    'mimbench)" in ~/.bashrc; zsh_source and fish_source for those shells (docs/completion.md).',
)
@click.version_option(package_name='mimbench')
def mimbench() -> None:
    """Benchmark masked-image-modelling backbones on dense prediction.

    \b
    Training is `mimbench train CONFIG`, or OpenMMLab's way: tools/train.py,
    tools/dist_train.sh CONFIG GPUS.
    """


def main() -> None:
    with errors_in_one_line('mimbench'):
        mimbench(prog_name='mimbench')


@contextmanager
def errors_in_one_line(program: str) -> Iterator[None]:
    """A user's mistake is one line on stderr that starts with the program, and exit code 2."""
    try:
        yield
    except UserError as error:
        fail(program, str(error))
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = f' ({error.filename})' if error.filename else ''
        fail(program, f'{error.strerror}{where}; make room and run the command again')
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] not in STACK:
            raise
        fail(program, f"{error.name} is not installed; pip install 'mimbench[onedl]' brings it")


def fail(program: str, message: str) -> NoReturn:
    click.echo(f'{program}: error: {message}', err=True)
    sys.exit(2)


if __name__ == '__main__':
    main()
