"""`mimbench ablate`: one question of a work, its rows pre-trained, evaluated and reported."""

import json
import subprocess
import sys
from pathlib import Path

import click

from mim_backbones.console.options import SEED, Words
from mim_backbones.console.plugins import plugins
from mim_backbones.errors import UserError

STDERR = 2


def methods() -> list[str]:
    from pretrain.ablation.study import study_files

    return list(study_files())


@click.command()
@click.argument('method', type=Words(methods, 'method', strict=False))
@click.option('--axis', metavar='NAME', help='Question of the study, such as mask_ratio.')
@click.option('--tier', default='smoke', show_default=True, help='Size of every row.')
@click.option(
    '--data', type=click.Path(path_type=Path), metavar='YAML',
    help='Data YAML, or the folder of `mimbench synth`. [default: the synthetic world, in OUT]',
)  # fmt: skip
@click.option('--out', type=click.Path(path_type=Path), help='[default: work_dirs/ablation/METHOD]')
@click.option(
    '--rows',
    metavar='ROW,..',
    help='Some of the axis, and those they need. [default: those of the tier]',
)
@click.option(
    '--tasks', type=Words(lambda: plugins('mimbench.tasks'), 'task', strict=False),
    metavar='TASK,..', help="[default: the tier's]",
)  # fmt: skip
@click.option(
    '--steps', type=click.IntRange(min=1),
    help="Of each pre-training, exactly; its schedule shrinks with it. [default: the tier's]",
)  # fmt: skip
@click.option('--finetune-steps', type=click.IntRange(min=1), help="[default: the protocol's]")
@click.option(
    '--seed', 'seeds', type=SEED, multiple=True, default=[0], show_default=True,
    help='Of pre-training and evaluation; repeatable, for a comparison that knows their noise.',
)  # fmt: skip
@click.option(
    '--jobs', type=click.IntRange(min=1),
    help='Rows, then evaluations, at a time. [default: 2 on a CPU of two cores or more, else 1]',
)  # fmt: skip
@click.option('--json', 'as_json', is_flag=True, help='Print what became of each row as JSON.')
def ablate(
    method: str,
    axis: str | None,
    tier: str,
    data: Path | None,
    out: Path | None,
    rows: str | None,
    tasks: str | None,
    steps: int | None,
    finetune_steps: int | None,
    seeds: tuple[int, ...],
    jobs: int | None,
    as_json: bool,
) -> None:
    """Pre-train each row of an axis of METHOD's study, evaluate it, and write one report.

    A row is what it changes in a recipe, in configs/pretrain/ablation/METHOD.yaml, here put on the
    recipe of the tier. A row that learns from another's checkpoint comes after it. The report,
    OUT/AXIS/report, shows the work's own figures beside ours, each with how we know it, or the
    token diversity of what each row predicts. What OUT holds already is not done again. Shorter
    budgets are noted in the report and in the checkpoints.

    \b
    Examples:
      mimbench ablate simmim --axis mask_ratio
      mimbench ablate simmim --axis head --data world --out work_dirs/heads --seed 0 --seed 1
      mimbench ablate simmim --axis target --rows target_l1,target_bins_256 --tasks segmentation
      mimbench ablate simmim --axis area --steps 20 --finetune-steps 20
      mimbench ablate img2vec --axis teacher --seed 0 --seed 1

    \b
    Exit codes: 0 all done; 1 a row failed, the others are there; 2 wrong input, nothing was run.
    """
    from pretrain.ablation.study import find_study

    study = find_study(method)
    chosen, size = study.axis(axis), study.tier(tier)
    at_tier = chosen.at.get(size.name, chosen.rows)
    names = pick('--rows', rows, chosen.rows) if rows else at_tier
    known = tuple(plugins('mimbench.tasks'))
    wanted = pick('--tasks', tasks, known) if tasks else size.tasks
    folder = (out or Path('work_dirs') / 'ablation' / method).absolute()

    from pretrain.ablation.run import Plan, run_ablation

    plan = Plan(
        study=study,
        axis=chosen,
        tier=size,
        rows=chosen.with_needed(names),
        tasks=wanted,
        data=(data or synthetic_world(folder / 'data')).absolute(),
        out=folder / chosen.name,
        steps=steps,
        finetune_steps=finetune_steps,
        seeds=tuple(dict.fromkeys(seeds)),
        jobs=jobs,
    )
    ok, record = run_ablation(plan)
    if as_json:
        click.echo(json.dumps(record, indent=2))
    elif record['report']:
        click.echo(f'report: {record["report"]}')
    raise SystemExit(0 if ok else 1)


def pick(option: str, words: str, choices: tuple[str, ...]) -> tuple[str, ...]:
    """'a,b' -> ('a', 'b'), each once.

    Raises:
        UserError: one that is no choice.
    """
    wanted = tuple(dict.fromkeys(word.strip() for word in words.split(',') if word.strip()))
    unknown = next((word for word in wanted if word not in choices), None)
    if unknown is not None or not wanted:
        raise UserError(f'{option}: no {unknown or words!r}; choose from {", ".join(choices)}')
    return wanted


def synthetic_world(folder: Path) -> Path:
    """The data that `mimbench synth` writes, or has written there before.

    Raises:
        UserError: it could not.
    """
    words = ['synth', str(folder), '--size', 'small']
    command = [sys.executable, '-m', 'mim_backbones.console.cli', *words]
    if subprocess.run(command, stdout=STDERR, check=False).returncode:
        raise UserError(f'no synthetic data in {folder}; give --data')
    return folder
