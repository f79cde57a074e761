"""`mimbench protocols`: what checkpoints can be evaluated under."""

import json
from dataclasses import asdict

import click


@click.command()
@click.option('--task', help='Only those of a task.')
@click.option('--tier', help='Only those of a tier: smoke, proxy or full.')
@click.option('--json', 'as_json', is_flag=True, help='Print them as JSON.')
def protocols(task: str | None, tier: str | None, as_json: bool) -> None:
    """List the protocols: recipes that say of themselves what they measure.

    `mimbench eval --tier TIER` takes the one for the checkpoint's family of backbones,
    `mimbench eval --protocol NAME` the one of that name.

    \b
    Examples:
      mimbench protocols
      mimbench protocols --task segmentation --tier full
      mimbench protocols --json

    \b
    Exit codes: 0 listed, perhaps none; 2 no such task or tier, or a recipe is broken.
    """
    from downstream.evaluation.protocols import recipes
    from downstream.results.result import TIERS
    from downstream.task import find_task
    from mim_backbones.errors import UserError

    if tier is not None and tier not in TIERS:
        raise UserError(f'--tier: no tier {tier!r}; known: {", ".join(TIERS)}')
    name = find_task(task).name if task else None
    found = [
        recipe
        for recipe in recipes().values()
        if name in (None, recipe.protocol.task) and tier in (None, recipe.protocol.tier)
    ]
    if as_json:
        rows = [
            {**asdict(one.protocol), 'summary': one.summary, 'recipe': str(one.path)}
            for one in found
        ]
        click.echo(json.dumps(rows, indent=2))
        return

    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style='bold')
    for column in ('protocol', 'task', 'tier', 'family', 'what it is'):
        table.add_column(column, overflow='fold')
    for one in found:
        said = one.protocol
        compared = f' Compares with: {said.framework}.' if said.framework else ''
        label = f'{said.name} v{said.version}'
        table.add_row(label, said.task, said.tier, said.family or 'any', one.summary + compared)
    Console().print(table)
