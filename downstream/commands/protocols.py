"""`mimbench protocols`: what checkpoints are evaluated under, its cost, what others report."""

import json
from dataclasses import asdict

import click

SHOWN = 30  # rows of a protocol in the table


@click.command()
@click.option('--task', help='Only those of a task.')
@click.option('--tier', help='Only those of a tier: smoke, proxy or full.')
@click.option('--json', 'as_json', is_flag=True, help='Print them as JSON.')
def protocols(task: str | None, tier: str | None, as_json: bool) -> None:
    """List the protocols: recipes that say of themselves what they measure.

    `mimbench eval --tier TIER` takes the one for the checkpoint's family and size of backbones,
    `mimbench eval --protocol NAME` the one of that name.

    Parameters are the whole model's. GMAC: multiply-adds on one test picture of the given height
    and width, regions included. GPU-h: of one training, from published seconds per image (marked
    *) or from 3 x GMAC x images at 10 T multiply-adds a second and GPU, about an A100's at work.

    \b
    Examples:
      mimbench protocols
      mimbench protocols --task detection --tier full
      mimbench protocols --json

    \b
    Exit codes: 0 listed, perhaps none; 2 no such task or tier, or a recipe is broken.
    """
    from downstream.costs.table import costs, reported
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
            {
                **asdict(one.protocol),
                'summary': one.summary,
                'recipe': str(one.path),
                **asdict(cost),
                'arch': arch,
                'gpu_hours': cost.gpu_hours,
                'reported': [asdict(row) for row in reported(one, arch)],
            }
            for one, arch, cost in costs(found)
        ]
        click.echo(json.dumps(rows, indent=2))
        return

    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style='bold')
    for column, justify in (
        ('protocol', 'left'), ('tier', 'left'), ('backbone', 'left'), ('input', 'right'),
        ('M', 'right'), ('GMAC', 'right'), ('GPU-h', 'right'), ('what it is', 'left'),
    ):  # fmt: skip
        table.add_column(
            column,
            justify=justify,  # type: ignore[arg-type]
            overflow='fold',
            no_wrap=column != 'what it is',
        )
    for one, arch, own in costs(found):
        said = one.protocol
        rows = [*map(str, reported(one, arch))]
        more = f'; {len(rows) - SHOWN} more by --json' if len(rows) > SHOWN else ''
        table.add_row(
            f'{said.name} v{said.version}',
            said.tier,
            f'{said.family or "any"} {arch}',
            'x'.join(map(str, own.input)),
            f'{own.parameters / 1e6:.1f}',
            f'{own.macs / 1e9:.1f}',
            f'{own.gpu_hours:,.1f}' + '*' * bool(own.seconds_per_image),
            one.summary + (f' Reported: {"; ".join(rows[:SHOWN])}{more}.' if rows else ''),
        )
    console = Console()
    console.width = max(console.width, 140) if console.is_terminal else 200
    console.print(
        'M: million parameters. GMAC: multiply-adds on one test picture of that height and '
        'width.\nGPU-h: of one training; * by published seconds per image, else 3 x GMAC x images '
        'at 10 T multiply-adds a second.'
    )
    console.print(table)
