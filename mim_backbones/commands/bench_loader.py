"""`mimbench bench loader`: how fast training pictures are read, against the usual pipeline.

Each task's measurement is a click command, named by one line of pyproject.toml under
`[project.entry-points."mimbench.loaders"]`.
"""

import click

from mim_backbones.console.options import Words
from mim_backbones.console.plugins import load_plugin, plugins

LOADERS = 'mimbench.loaders'


@click.command(
    add_help_option=False,
    context_settings={'ignore_unknown_options': True, 'allow_interspersed_args': True},
)
@click.option('--task', type=Words(lambda: [*plugins(LOADERS)], 'task'), default='pretrain')
@click.argument('words', nargs=-1, type=click.UNPROCESSED)
def loader(task: str, words: tuple[str, ...]) -> None:
    """Our input pipeline and the usual one, in turns on the same pictures."""
    command = load_plugin(plugins(LOADERS)[task], click.Command)
    command.main([*words], f'mimbench bench loader --task {task}', standalone_mode=False)
