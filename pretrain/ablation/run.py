"""The whole of `mimbench ablate` after its arguments: pre-train rows, evaluate them, report."""

import csv
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mim_backbones.console.atomic_file import check_writable, write_bytes_atomically
from mim_backbones.console.display import PoolDisplay, clock
from mim_backbones.console.processes import default_parallel
from mim_backbones.data_spec import load_data_spec, require
from pretrain.ablation.pretraining import Outcome, Training, pretrain_rows
from pretrain.ablation.row import Finished, Row, Settings
from pretrain.ablation.study import Question, Study, Tier
from pretrain.diversity.candidates import open_candidates
from pretrain.diversity.figure import figure
from pretrain.diversity.measure import Measured, measure, readable
from pretrain.diversity.scores import Against, against_scores, read_scores
from pretrain.images.decode import choose_images
from pretrain.targets.base import files_in

STDERR = 2
DIVERSITY_IMAGES = 64
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
    outcomes = pretrain(plan, images)
    finished = {one.training: one.finished for one in outcomes if one.finished}
    measured = diversities(plan, images, finished) if plan.axis.diversity else []
    evaluated = [evaluate(plan, seed, finished) for seed in plan.seeds]
    scored = with_results(plan.out / 'results')
    rows = {one.training.row.name: one.training.row for one in reversed(outcomes)}
    shown = [rows[name] for name in plan.rows if name in scored]
    against = []
    if measured and shown:
        against = against_scores(measured, read_scores(plan.out / 'results', [*rows]))
    page = report(plan, shown, measured, against) if shown else None
    record = {
        'report': str(page) if page else None,
        'note': plan.remark or None,
        'rows': [_record(plan, outcome) for outcome in outcomes],
        'diversity': {one.name: asdict(one.diversity) for one in measured},
        'against': [one.verdict() for one in against],
    }
    failed = any(outcome.failure for outcome in outcomes)
    return all(evaluated) and page is not None and not failed, record


def pretrain(plan: Plan, images: str) -> list[Outcome]:
    """Every row, by seed; one that learns from another's checkpoint comes after that.

    Raises:
        UserError: the folder holds a row with other settings. Of a row that needs another, this
            is known only when that is trained.
    """
    found: dict[tuple[str, int], Outcome] = {}
    for wave in plan.axis.waves(plan.rows):
        trainings = []
        for seed in plan.seeds:
            for name in wave:
                needed = {k: found[row, seed] for k, row in plan.axis.after.get(name, {}).items()}
                given = {k: one.finished.checkpoint for k, one in needed.items() if one.finished}
                folder = plan.out / 'rows' / name / f'seed{seed}'
                row = Row(plan.study, plan.tier, name, folder, given)
                training = Training(row, settings_of(row, plan, images, seed))
                failed = [one.training.row.name for one in needed.values() if not one.finished]
                if failed:
                    why = f'needs {failed[0]}, which failed'
                    found[name, seed] = Outcome(training, None, why)
                else:
                    trainings.append(training)
        for outcome in pretrain_wave(plan, trainings):
            training = outcome.training
            found[training.row.name, training.settings.seed] = outcome
    return [found[name, seed] for seed in plan.seeds for name in plan.rows]


def pretrain_wave(plan: Plan, trainings: list[Training]) -> list[Outcome]:
    """Those that need nothing more; what an earlier run finished is kept."""
    kept = {one: one.row.open(one.settings, plan.remark) for one in trainings}
    waiting = [one for one in trainings if kept[one] is None]
    with PoolDisplay(len(waiting)) as display:
        for one, end in kept.items():
            if end is not None:
                display.say(f'{one.name}: already pre-trained {end.steps} steps')
        outcomes = pretrain_rows(
            waiting,
            plan.jobs or default_parallel(),
            tick=lambda running: display.tick([one.stand() for one in running]),
            ended=lambda outcome: display.ended(outcome.training.name, ending_of(outcome)),
        )
    return [Outcome(one, end, None) for one, end in kept.items() if end] + outcomes


def diversities(plan: Plan, images: str, finished: Collection[Training]) -> list[Measured]:
    """Of what each row of the first seed predicts, on its pre-training images, uncropped."""
    rows = [one.row for one in finished if one.settings.seed == plan.seeds[0]]
    files, _ = readable(choose_images(images, DIVERSITY_IMAGES))
    candidates = open_candidates([f'{row.name}={row.config}' for row in rows])
    return [measure(one, files) for one in candidates]


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


def report(
    plan: Plan, rows: list[Row], measured: list[Measured], against: list[Against]
) -> Path | None:
    """`mimbench report` with figures beside the scores; None when it failed.

    Args:
        rows: those that have a result.
        measured, against: the diversity of targets, where the axis asks for it.
    """
    beside, out = plan.out / 'beside.csv', plan.out / 'report'
    write_bytes_atomically(beside, beside_csv(plan, measured).encode())
    title = f'{plan.study.method} ablation: {plan.axis.title} ({plan.tier.name})'
    words = [str(plan.out / 'results'), '--out', str(out), '--title', title, '--by-name']
    said = [note(plan, rows), *(f'{one.title}: {one.verdict()}.' for one in against)]
    words += ['--beside', str(beside), '--note', ' '.join(part for part in said if part)]
    if measured:
        picture = plan.out / 'diversity.png'
        write_bytes_atomically(picture, figure(measured, against, 'png'))
        words += ['--picture', f'Token diversity of the targets={picture}']
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


def beside_csv(plan: Plan, measured: list[Measured]) -> str:
    """The work's figure of every row, or its target's diversity; empty where none is known."""
    known: dict[str, tuple[Any, str, str]] = {
        row: (one.value, one.status, one.source) for row, one in plan.axis.published.items()
    }
    for one in measured:
        source = f'{one.diversity} over {one.images} images, seed {plan.seeds[0]}'
        known[one.name] = (f'{one.diversity.mean:.3f}', 'measured', source)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow(COLUMNS)
    for row in plan.rows:
        writer.writerow((row, plan.study.metric, *known.get(row, ('', '', ''))))
    return stream.getvalue()


def mimbench(*words: str) -> bool:
    """Run another command; what it says goes to stderr, as this one's own words do."""
    command = [sys.executable, '-m', 'mim_backbones.console.cli', *words]
    return subprocess.run(command, stdout=STDERR, check=False).returncode == 0


def _record(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    training, finished = outcome.training, outcome.finished
    published = plan.axis.published.get(training.row.name)
    return {
        'row': training.row.name,
        'seed': training.settings.seed,
        'checkpoint': finished.checkpoint if finished else None,
        'steps': finished.steps if finished else None,
        'seconds': finished.seconds if finished else None,
        'failure': outcome.failure,
        'published': {'value': published.value, 'status': published.status} if published else None,
    }
