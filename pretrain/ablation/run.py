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
from pretrain.ablation.pretraining import Outcome, Training, pretrain_rows
from pretrain.ablation.row import Finished, Row, Settings
from pretrain.ablation.study import Question, Study, Tier
from pretrain.targets.base import files_in

STDERR = 2
COLUMNS = ('checkpoint', 'metric', 'value', 'status', 'source')  # of `mimbench report --beside`


@dataclass(frozen=True)
class Plan:
    """What to run. out: the axis's own folder. steps, finetune_steps: None for the usual ones."""

    study: Study
    axis: Question
    tier: Tier
    rows: tuple[str, ...]
    tasks: tuple[str, ...]
    data: Path
    out: Path
    steps: int | None = None
    finetune_steps: int | None = None
    seeds: tuple[int, ...] = (0,)
    jobs: int | None = None

    @property
    def remark(self) -> str:
        """What was shortened; '' for nothing."""
        said = []
        if self.steps not in (None, self.tier.steps):
            said.append(f'{self.steps} pre-training steps in place of {self.tier.steps}')
        if self.finetune_steps:
            said.append(f"{self.finetune_steps} fine-tuning steps in place of the protocol's")
        return f'Shortened: {", ".join(said)}.' if said else ''


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
    trainings = []
    for seed in plan.seeds:
        for name in plan.rows:
            row = Row(plan.study, plan.tier, name, plan.out / 'rows' / name / f'seed{seed}')
            trainings.append(Training(row, settings_of(row, plan, images, seed)))
    kept = {one: one.row.open(one.settings, plan.remark) for one in trainings}
    waiting = [one for one in trainings if kept[one] is None]
    with PoolDisplay(len(waiting)) as display:
        for one, found in kept.items():
            if found is not None:
                display.say(f'{one.name}: already pre-trained {found.steps} steps')
        outcomes = pretrain_rows(
            waiting,
            plan.jobs or default_parallel(),
            tick=lambda running: display.tick([one.stand() for one in running]),
            ended=lambda outcome: display.ended(outcome.training.name, ending_of(outcome)),
        )
    trained = {outcome.training: outcome.finished for outcome in outcomes}
    failures = {outcome.training: outcome.failure for outcome in outcomes if outcome.failure}
    finished = {one: end for one in trainings if (end := kept[one] or trained.get(one))}
    evaluated = [evaluate(plan, seed, finished) for seed in plan.seeds]
    measured = with_results(plan.out / 'results')
    rows = {one.row.name: one.row for one in reversed(trainings) if one.row.name in measured}
    page = report(plan, [rows[name] for name in plan.rows if name in rows]) if rows else None
    record = {
        'report': str(page) if page else None,
        'note': plan.remark or None,
        'rows': [_record(plan, one, finished.get(one), failures.get(one)) for one in trainings],
    }
    return all(evaluated) and page is not None and not failures, record


def ending_of(outcome: Outcome) -> str:
    """How a row's pre-training ended, in words."""
    if outcome.finished is None:
        return f'failed: {outcome.failure}'
    return f'pre-trained {outcome.finished.steps} steps in {clock(outcome.finished.seconds)}'


def settings_of(row: Row, plan: Plan, images: str, seed: int) -> Settings:
    """What the row's weights depend on."""
    config = row.resolved().to_dict()
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for path in files_in(config['model']):
        digest.update(Path(path).read_bytes())
    return Settings(digest.hexdigest(), plan.steps or plan.tier.steps, seed, images)


def evaluate(plan: Plan, seed: int, finished: dict[Training, Finished]) -> bool:
    """`mimbench eval` of a seed's rows; it keeps what is there, and shows its own progress."""
    words = [
        f'{one.row.name}={end.checkpoint}'
        for one, end in finished.items()
        if one.settings.seed == seed
    ]
    if not words:
        return False
    words += ['--tasks', ','.join(plan.tasks), '--tier', plan.tier.name, '--data', str(plan.data)]
    words += ['--out', str(plan.out / 'results'), '--seed', str(seed)]
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
    """What is known of the axis, what was shortened, and what the rows hide where they differ."""
    said = [plan.axis.note, plan.remark]
    shares = {row.name: f'{row.hidden_share():.0%}' for row in rows}
    if len(set(shares.values())) > 1:
        listed = ', '.join(f'{name} {share}' for name, share in shares.items())
        said.append(f'Hidden here, in whole units: {listed}.')
    return ' '.join(part for part in said if part)


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
    plan: Plan, training: Training, finished: Finished | None, failure: str | None
) -> dict[str, Any]:
    figure = plan.axis.published.get(training.row.name)
    return {
        'row': training.row.name,
        'seed': training.settings.seed,
        'checkpoint': finished.checkpoint if finished else None,
        'steps': finished.steps if finished else None,
        'seconds': finished.seconds if finished else None,
        'failure': failure,
        'published': {'value': figure.value, 'status': figure.status} if figure else None,
    }
