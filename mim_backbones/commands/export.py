"""`mimbench export`: what was trained, as files that run without this package's models.

Each kind of model is a click command in a file of its own, named by one line of pyproject.toml
under `[project.entry-points."mimbench.export"]`; the other packages add theirs the same way.
Backbones for other libraries: `mimbench convert`.
"""

import click

from mim_backbones.console.cli import EntryPointGroup


@click.group(cls=EntryPointGroup, entry_point_group='mimbench.export')
def export() -> None:
    """Write trained models as graphs for other runtimes."""
