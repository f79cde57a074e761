"""`mimbench analyze masks`: what a masker hides."""

import click


@click.command()
def masks() -> None:
    """Ratio, AvgDist and per-cell frequency of a masker.

    \b
    Examples:
      mimbench analyze masks random
    """
