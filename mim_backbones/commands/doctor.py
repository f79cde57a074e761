"""`mimbench doctor`: is this installation sound, and what can the machine do?"""

import json
from typing import Any

import click


@click.command()
@click.option('--data', envvar='MIMBENCH_DATA', help='Data YAML or folder; also MIMBENCH_DATA.')
@click.option('--json', 'as_json', is_flag=True, help='Print the findings as JSON.')
def doctor(data: str | None, as_json: bool) -> None:
    """Versions, owners of the import names, ops, CPU, GPU, bf16, data roots and plugins.

    Exits with 1 when something is wrong: a package or its plugin that does not load, too.

    \b
    Examples:
      mimbench doctor
      mimbench doctor --data demo_out/data --json
    """
    findings = examine(data)
    if as_json:
        click.echo(json.dumps(findings, indent=2))
    else:
        show(findings)
    raise SystemExit(1 if findings['problems'] else 0)


def examine(data: str | None) -> dict[str, Any]:
    """Everything the command prints; `problems` is empty when all is well."""
    import mim_backbones
    from mim_backbones.console import environment
    from mim_backbones.standins import provider

    owned = environment.owners()
    roots, data_error = environment.data_roots(data)
    installed, broken = environment.plugins_found()
    problems = environment.conflicts(owned) + environment.import_alone() + broken
    if data_error:
        problems.append(data_error)
    return {
        'mimbench': mim_backbones.__version__,
        'owners': owned,
        'ops': provider(),
        'hardware': environment.hardware(),
        'data': roots,
        'plugins': installed,
        'problems': problems,
    }


def show(findings: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table('what', 'found', title=f'mimbench {findings["mimbench"]}', box=None)
    for name, distributions in findings['owners'].items():
        table.add_row(name, ', '.join(distributions) or 'missing')
    for op, source in findings['ops'].items():
        table.add_row(f'op {op}', source)
    for name, value in findings['hardware'].items():
        text = ', '.join(value) or 'none' if isinstance(value, list) else str(value)
        table.add_row(name.replace('_', ' '), text)
    for group, names in findings['plugins'].items():
        table.add_row(group, ', '.join(names))
    for section, root in findings['data'].items():
        table.add_row(f'data {section}', root)
    console = Console()
    console.print(table)
    for problem in findings['problems']:
        console.print(f'problem: {problem}', style='red', soft_wrap=True, highlight=False)
    if not findings['problems']:
        console.print('no problems found', style='green')
