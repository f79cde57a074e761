"""`mimbench bench`: how fast the parts run on this machine.

Each measurement is a click command in a file of its own, named by one line of pyproject.toml under
`[project.entry-points."mimbench.bench"]`; the other packages add theirs the same way.
"""

import click

from mim_backbones.console.cli import EntryPointGroup


@click.group(cls=EntryPointGroup, entry_point_group='mimbench.bench')
def bench() -> None:
    """Measure the parts of mimbench on this machine."""
