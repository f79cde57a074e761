"""`mimbench analyze`: looks closely at one part of a method.

Each analysis is a click command in a file of its own, named by one line of pyproject.toml under
`[project.entry-points."mimbench.analyze"]`; the other packages add theirs the same way.
"""

import click

from mim_backbones.console.cli import EntryPointGroup


@click.group(cls=EntryPointGroup, entry_point_group='mimbench.analyze')
def analyze() -> None:
    """Look closely at one part of a method: masks, codebook, tokens, teachers."""
