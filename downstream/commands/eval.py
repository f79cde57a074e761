"""`mimbench eval`: checkpoints x tasks -> result files."""

import json
from pathlib import Path

import click

from mim_backbones.console.options import SEED, parse_options
from mim_backbones.errors import UserError

TASKS = {
    'detection': 'detection', 'segmentation': 'segmentation', 'tracking': 'tracking',
    'coco': 'detection', 'ade20k': 'segmentation', 'lasot': 'tracking',
}  # fmt: skip


@click.command('eval')
@click.argument('checkpoints', nargs=-1, required=True, metavar='CKPT...')
@click.option(
    '--data', required=True, type=click.Path(path_type=Path), metavar='YAML',
    help='Data YAML, or the folder of `mimbench synth`.',
)  # fmt: skip
@click.option(
    '--out', required=True, type=click.Path(path_type=Path), help='Folder of the results.'
)
@click.option(
    '--tasks', multiple=True, default=['detection,segmentation,tracking'], metavar='TASK...',
    help='detection, segmentation, tracking. [default: all]',
)  # fmt: skip
@click.option('--tier', default='smoke', show_default=True, help='smoke.')
@click.option('--seed', 'seeds', multiple=True, type=SEED, default=[0], help='Repeatable.')
@click.option(
    '--jobs', 'parallel', type=click.IntRange(min=1),
    help='Jobs at a time. [default: 2 on a CPU of two cores or more, else 1]',
)  # fmt: skip
@click.option('--arch', metavar='CONFIG', help='Config whose model.backbone describes CKPT.')
@click.option(
    '--cfg-options', multiple=True, metavar='KEY=VALUE...', help='Overrides of the recipes.'
)
@click.option('--json', 'as_json', is_flag=True, help='Print the results as JSON.')
def evaluate(
    checkpoints: tuple[str, ...],
    data: Path,
    out: Path,
    tasks: tuple[str, ...],
    tier: str,
    seeds: tuple[int, ...],
    parallel: int | None,
    arch: str | None,
    cfg_options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Fine-tune and score each CKPT on each task; one JSON per result in OUT.

    CKPT is a file, NAME=FILE, or the word `random`: the same architecture from a random start,
    with the same heads for the same seed. What is in OUT already is not done again. Logs: OUT/logs.

    \b
    Examples:
      mimbench eval work_dirs/simmim/epoch_16.pth random --data world --out results
      mimbench eval simmim=a.pth mae=b.pth --data my.yaml --out results --tasks segmentation
      mimbench eval a.pth --data world --out results --tasks coco ade20k --seed 0 --seed 1
      mimbench eval a.pth --data world --out results --cfg-options optim_wrapper.optimizer.lr=5e-4

    \b
    Exit codes: 0 all done; 1 a job failed, the others are there; 2 wrong input, nothing was run.
    """
    from downstream.evaluation.run import evaluate_all
    from mim_backbones.console.processes import cores, default_parallel

    ok, records = evaluate_all(
        sources=checkpoints,
        tasks=task_names(tasks),
        tier=tier,
        seeds=tuple(dict.fromkeys(seeds)),
        data=data,
        out=out,
        parallel=parallel or default_parallel(),
        cores=cores(),
        arch=arch,
        options=parse_options(cfg_options),
    )
    if as_json:
        click.echo(json.dumps(records, indent=2))
    raise SystemExit(0 if ok else 1)


def task_names(words: tuple[str, ...]) -> tuple[str, ...]:
    """('coco,tracking', 'segmentation') -> task names, each once.

    Raises:
        UserError: an unknown name.
    """
    names = [name.strip() for word in words for name in word.split(',') if name.strip()]
    unknown = next((name for name in names if name not in TASKS), None)
    if unknown is not None:
        raise UserError(f'--tasks: unknown task {unknown!r}; known: {", ".join(TASKS)}')
    return tuple(dict.fromkeys(TASKS[name] for name in names))
