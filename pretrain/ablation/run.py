"""The whole of `mimbench ablate` after its arguments: pre-train rows, evaluate them, report."""

import csv
import hashlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mim_backbones.console.atomic_file import check_writable, write_bytes_atomically
from mim_backbones.console.display import PoolDisplay, clock
from mim_backbones.console.processes import default_parallel
from mim_backbones.data_spec import load_data_spec, require
from pretrain.ablation.pretraining import Outcome, Training, pretrain_rows, whole_epochs
from pretrain.ablation.row import Finished, Row, Settings
from pretrain.ablation.study import Axis, Study, Tier

STDERR = 2
COLUMNS = ('checkpoint', 'metric', 'value', 'status', 'source')  # of `mimbench report --beside`


@dataclass(frozen=True)
class Plan:
    """What to run. out: the axis's own folder. finetune_steps: None for the protocol's."""

    study: Study
    axis: Axis
    tier: Tier
    rows: tuple[str, ...]
    tasks: tuple[str, ...]
    data: Path
    out: Path
    steps: int
    finetune_steps: int | None = None
    seed: int = 0
    jobs: int | None = None


def run_ablation(plan: Plan) -> tuple[bool, dict[str, Any]]:
    """Whether every row was trained and evaluated, and what there is of each.

    Rows that an earlier run finished are kept; one that fails does not stop the others.

    Raises:
        UserError: something that was given cannot be used; nothing has been trained then.
    """
    spec = load_data_spec(plan.data)
    images = str(require(spec, 'pretrain').root)
    for task in plan.tasks:
        require(spec, task)
    check_writable(plan.out)
    rows = [Row(plan.study, plan.tier, name, plan.out / 'rows' / name) for name in plan.rows]
    trainings = [Training(row, settings_of(row, plan, images)) for row in rows]
    kept = {one.row.name: one.row.open(one.settings) for one in trainings}
    waiting = [one for one in trainings if kept[one.row.name] is None]
    with PoolDisplay(len(waiting)) as display:
        for name, found in kept.items():
            if found is not None:
                display.say(f'{name}: already pre-trained {found.steps} steps')
        outcomes = pretrain_rows(
            waiting,
            plan.jobs or default_parallel(),
            tick=lambda running: display.tick([one.stand() for one in running]),
            ended=lambda outcome: display.ended(outcome.training.row.name, ending_of(outcome)),
        )
    trained = {one.training.row.name: one.finished for one in outcomes}
    failures = {one.training.row.name: one.failure for one in outcomes if one.failure}
    finished = {name: end for name in plan.rows if (end := kept[name] or trained[name])}
    ok = bool(finished) and evaluate(plan, finished)
    measured = with_results(plan.out / 'results')
    page = report(plan, [row for row in rows if row.name in measured]) if measured else None
    record = {
        'report': str(page) if page else None,
        'rows': [_record(plan, name, finished.get(name), failures.get(name)) for name in plan.rows],
    }
    return ok and page is not None and not failures, record


def ending_of(outcome: Outcome) -> str:
    """How a row's pre-training ended, in words."""
    if outcome.finished is None:
        return f'failed: {outcome.failure}'
    return f'pre-trained {outcome.finished.steps} steps in {clock(outcome.finished.seconds)}'


def settings_of(row: Row, plan: Plan, images: str) -> Settings:
    """What the row's weights depend on; its steps are whole epochs of its recipe."""
    cfg = row.resolved()
    digest = hashlib.sha256(json.dumps(cfg.to_dict(), sort_keys=True, default=str).encode())
    target = cfg.model.get('target', {})
    for path in (target.get('palette'), target.get('tokenizer', {}).get('checkpoint')):
        if isinstance(path, str) and Path(path).is_file():
            digest.update(Path(path).read_bytes())
    epochs = cfg.train_cfg.max_epochs
    return Settings(
        config=digest.hexdigest(),
        steps=epochs * whole_epochs(plan.steps, epochs),
        seed=plan.seed,
        data=images,
    )


def evaluate(plan: Plan, finished: dict[str, Finished]) -> bool:
    """`mimbench eval` of all rows; it keeps what is there, and shows its own progress."""
    words = [f'{name}={one.checkpoint}' for name, one in finished.items()]
    words += ['--tasks', ','.join(plan.tasks), '--tier', plan.tier.name, '--data', str(plan.data)]
    words += ['--out', str(plan.out / 'results'), '--seed', str(plan.seed)]
    if plan.jobs:
        words += ['--jobs', str(plan.jobs)]
    if plan.finetune_steps:
        words += ['--cfg-options', f'train_cfg.max_iters={plan.finetune_steps}']
    return mimbench('eval', *words)


def with_results(folder: Path) -> set[str]:
    """Names of the rows that have a result; an evaluation may have failed."""
    return {json.loads(path.read_text())['name'] for path in folder.glob('*.json')}


def report(plan: Plan, rows: list[Row]) -> Path | None:
    """`mimbench report` with the work's figures beside ours; None when it failed.

    rows: those that have a result.
    """
    figures, out = plan.out / 'published.csv', plan.out / 'report'
    write_bytes_atomically(figures, published_csv(plan).encode())
    title = f'{plan.study.method} ablation: {plan.axis.title} ({plan.tier.name})'
    words = [str(plan.out / 'results'), '--out', str(out), '--title', title]
    words += ['--beside', str(figures), '--note', note(plan, rows)]
    for row in rows:
        if drawn := row.picture():
            words += ['--picture', f'{row.name}={drawn}']
    names = [row.name for row in rows]
    words += ['--order', ','.join(names)]
    if plan.axis.default in names:
        words += ['--baseline', plan.axis.default]
    return out / 'report.html' if mimbench('report', *words) else None


def note(plan: Plan, rows: list[Row]) -> str:
    """What is known of the axis, and what the rows hide where that is not the same."""
    shares = {row.name: f'{row.hidden_share():.0%}' for row in rows}
    if len(set(shares.values())) == 1:
        return plan.axis.note
    listed = ', '.join(f'{name} {share}' for name, share in shares.items())
    return f'{plan.axis.note} Hidden here, in whole units: {listed}.'.strip()


def published_csv(plan: Plan) -> str:
    """The work's figure of every row, its cells empty where none is known."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow(COLUMNS)
    for row in plan.rows:
        figure = plan.axis.published.get(row)
        known = (figure.value, figure.status, figure.source) if figure else ('', '', '')
        writer.writerow((row, plan.study.metric, *known))
    return stream.getvalue()


def mimbench(*words: str) -> bool:
    """Run another command; what it says goes to stderr, as this one's own words do."""
    command = [sys.executable, '-m', 'mim_backbones.console.cli', *words]
    return subprocess.run(command, stdout=STDERR, check=False).returncode == 0


def _record(
    plan: Plan, name: str, finished: Finished | None, failure: str | None
) -> dict[str, Any]:
    figure = plan.axis.published.get(name)
    return {
        'row': name,
        'checkpoint': finished.checkpoint if finished else None,
        'steps': finished.steps if finished else None,
        'seconds': finished.seconds if finished else None,
        'failure': failure,
        'published': {'value': figure.value, 'status': figure.status} if figure else None,
    }
