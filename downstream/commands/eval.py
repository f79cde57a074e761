"""`mimbench eval`: checkpoints x tasks -> result files."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from downstream.robustness.conditions import NAMES, SEVERITIES
from downstream.task import task_names
from mim_backbones.console.options import (
    SEED,
    Words,
    backbone_option,
    cfg_options,
    parse_options,
)


def tier_names() -> tuple[str, ...]:
    from downstream.results.result import TIERS

    return TIERS


def protocol_names() -> list[str]:
    from downstream.evaluation.protocols import recipes

    return list(recipes())


ALL = 'all'


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
    '--tasks', multiple=True, type=Words(task_names, 'task', several=True), metavar='TASK,...',
    help='Names or data sets, as detection or coco. [default: all that the data file names]',
)  # fmt: skip
@click.option(
    '--tier', default='smoke', show_default=True, type=Words(tier_names, 'tier'), metavar='TIER',
    help='Whose protocols to run: smoke (minutes), proxy (an hour on one GPU), full (a paper).',
)  # fmt: skip
@click.option(
    '--protocol', 'protocols', multiple=True, metavar='NAME,...',
    type=Words(protocol_names, 'protocol', several=True),
    help='By name instead of by tier (mimbench protocols).',
)  # fmt: skip
@click.option('--seed', 'seeds', multiple=True, type=SEED, default=[0], help='Repeatable.')
@click.option(
    '--jobs', type=click.IntRange(min=1),
    help='Jobs at a time. [default: one for each GPU, or 2 on a CPU of two cores or more]',
)  # fmt: skip
@click.option(
    '--gpus-per-job', 'processes', type=click.IntRange(min=1), default=1, show_default=True,
    help='Processes that train one job together (torchrun); without GPUs, on the CPU.',
)  # fmt: skip
@click.option(
    '--threads', type=click.IntRange(1, 1024),
    help='CPU threads of a job. [default: the cores divided by the default of --jobs]',
)  # fmt: skip
@click.option(
    '--corruptions', metavar='all|NAME,...', default=(),
    type=Words(lambda: (ALL, *NAMES), 'corruption', several=True),
    help='Score each trained model on corrupted test pictures too; docs/robustness.md.',
)  # fmt: skip
@click.option(
    '--severities', metavar='1,...,5', default=(),
    type=Words(lambda: map(str, SEVERITIES), 'severity', several=True),
    help='Of the corruptions. [default: all five]',
)  # fmt: skip
@click.option(
    '--frost-pictures', type=click.Path(path_type=Path, file_okay=False), metavar='DIR',
    help='Photographs of frost, as the published ones. [default: frost is drawn]',
)  # fmt: skip
@click.option(
    '--shifted', is_flag=True,
    help='Score each on the further test sets of the data file too, as ImageNet-R.',
)  # fmt: skip
@backbone_option
@click.option('--arch', metavar='CONFIG', help='Config whose model.backbone describes CKPT.')
@cfg_options
@click.option('--keep-checkpoints', is_flag=True, help='Keep those of a finished job, below logs.')
@click.option(
    '--rehearse', is_flag=True,
    help='Take a few real steps of every job instead, and say what the matrix will cost.',
)  # fmt: skip
@click.option('--json', 'as_json', is_flag=True, help='Print the results as JSON.')
def evaluate(
    checkpoints: tuple[str, ...],
    tasks: tuple[tuple[str, ...], ...],
    protocols: tuple[tuple[str, ...], ...],
    seeds: tuple[int, ...],
    cfg_options: tuple[str, ...],
    corruptions: tuple[str, ...],
    severities: tuple[str, ...],
    frost_pictures: Path | None,
    rehearse: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Fine-tune and score each CKPT on each task; one JSON per result in OUT.

    CKPT is a file, timm:NAME, one of them as NAME=CKPT, or the word `random`: a random start for
    each architecture among the others, with the same heads for the same seed. Another word that
    names a task counts as one of --tasks. The family of a CKPT (ViT, Swin, Hiera) decides which
    protocol of the tier it takes.

    What is in OUT already is not done again; other data, options or seeds stand beside it. A long
    job that was stopped goes on from its last checkpoint. On a CPU the same seed gives the same
    digits for the same --threads and --gpus-per-job, whatever --jobs and whatever else runs; on
    GPUs some kernels add in an order of their own. Logs and each job's whole config: OUT/logs.

    With --corruptions a result holds the scores under each corruption and severity beside the
    clean ones, which stay what they are. Scorings that are done are not done again, if the job is
    stopped or asked for more; without --keep-checkpoints a finished job trains again for more.

    With --rehearse each job takes two steps with its real recipe and data, resumes from its
    checkpoint for one more and scores two images; nothing is written among the results. A table
    says what failed, memory, time and disk of each job and of the whole matrix.

    \b
    Examples:
      mimbench eval work_dirs/simmim/epoch_16.pth random --data world --out results
      mimbench eval simmim=a.pth mae=b.pth --data my.yaml --out results --tasks segmentation
      mimbench eval a.pth --data world --out results --tasks coco ade20k --seed 0 --seed 1
      mimbench eval deit.pth --data world --out results --backbone num_heads=3
      mimbench eval a.pth b.pth --data world --out results --backbone b:num_heads=12
      mimbench eval a.pth --data world --out results --cfg-options optim_wrapper.optimizer.lr=5e-4
      mimbench eval a.pth --data my.yaml --out results --tier full --gpus-per-job 8
      mimbench eval a.pth --data world --out results --tasks coco --corruptions all
      mimbench eval a.pth --data world --out results --corruptions fog,snow --severities 1,3,5

      mimbench eval a.pth --data my.yaml --out results --tier full --rehearse

    \b
    Exit codes: 0 all done; 1 a job failed (or would), the others are there; 2 wrong input, nothing
    was run.
    """
    known = task_names()
    also = [word for word in checkpoints if word in known and not Path(word).exists()]
    words = [word for words in tasks for word in words] + also

    from rich.console import Console

    from downstream.evaluation.plan import Request
    from downstream.evaluation.run import as_record, evaluate_all, result_table

    conditions = None
    if corruptions:
        from downstream.robustness.corrupt import conditions_for

        chosen = NAMES if ALL in corruptions else tuple(dict.fromkeys(corruptions))
        levels = sorted({int(level) for level in severities}) or SEVERITIES
        conditions = conditions_for(chosen, levels, frost_pictures)
    elif severities or frost_pictures:
        raise click.UsageError('--severities and --frost-pictures go with --corruptions')

    request = Request(
        sources=tuple(word for word in checkpoints if word not in also),
        tasks=tuple(dict.fromkeys(known[word] for word in words)),
        protocols=tuple(dict.fromkeys(name for names in protocols for name in names)),
        seeds=tuple(dict.fromkeys(seeds)),
        options=parse_options(cfg_options),
        command=shlex.join(['mimbench', *sys.argv[1:]]),
        conditions=conditions,
        **given,
    )
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 80) if console.is_terminal else 200
    if rehearse:
        from downstream.evaluation.rehearsal import display
        from downstream.evaluation.rehearsal.matrix import rehearse_all

        matrix = rehearse_all(request)
        if as_json:
            click.echo(json.dumps(display.as_record(matrix), indent=2))
        else:
            if matrix.rows:
                console.print(display.rehearsal_table(matrix))
            for line in display.lines(matrix):
                console.print(line, soft_wrap=True)
        raise SystemExit(1 if matrix.failures else 0)
    rows, failures = evaluate_all(request)
    if as_json:
        records = [as_record(path, result) for _, path, result in rows]
        records += [{'job': title, 'failure': line} for title, line in failures.items()]
        click.echo(json.dumps(records, indent=2))
    elif rows:
        console.print(result_table(rows))
    raise SystemExit(1 if failures else 0)
