"""A row at a tier: its changes put on the tier's recipe, at its budget, and how far it is."""

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from pprint import pformat
from typing import Any

import numpy as np
from mmengine.config import Config

from mim_backbones.console.atomic_file import write_bytes_atomically
from mim_backbones.errors import UserError
from mim_backbones.training.config import merged, open_config
from mim_backbones.training.steps.batch import step_batch
from pretrain.ablation.study import Changes, Study, Tier
from pretrain.maskers.choice import build_masker, on_backbone

SHARE_SAMPLES = 256
LENGTHS = ('warmup', 'milestones', 'begin', 'end', 'T_max')  # of schedules, in epochs


def resolved(recipe: Path, changes: Changes) -> Config:
    """A whole config: a recipe with dotted keys changed, as --cfg-options changes them.

    Raises:
        UserError: a change that fits nothing in the recipe.
    """
    return merged(open_config(recipe), changes, f'config {recipe}')


def config_text(recipe: Path, changes: Changes) -> str:
    """The same as a config file: a delta to the recipe."""
    nested: dict[str, Any] = {}
    for key, value in changes.items():
        *parents, last = key.split('.')
        node = nested
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = copy.deepcopy(value)  # a later key may lie inside it
    lines = [f'{k} = {pformat(v, width=96, sort_dicts=False)}' for k, v in nested.items()]
    return '\n'.join([f'_base_ = [{str(recipe)!r}]', *lines, ''])


def budget(config: Config, steps: int) -> dict[str, Any]:
    """Changes that make a recipe take exactly `steps` steps of the optimizer, its schedule with it.

    A recipe counts its schedule in epochs. It keeps as many of them as divide the steps (all, where
    they do), each as long as that takes, and every length of the schedule shrinks in proportion.

    Raises:
        UserError: a schedule that counts iterations.
    """
    iterations = steps * config.optim_wrapper.get('accumulative_counts', 1)
    before = config.train_cfg.max_epochs
    epochs = next(n for n in range(min(before, iterations), 0, -1) if iterations % n == 0)
    schedules = []
    for schedule in config.param_scheduler or []:
        if not schedule.get('by_epoch', True):
            raise UserError(
                f'config {config.filename}: {schedule["type"]} counts iterations, which a budget '
                'in steps cannot shorten; by_epoch=True with convert_to_iter_based=True'
            )
        lengths = {
            key: scaled(schedule[key], epochs / before) for key in LENGTHS if key in schedule
        }
        schedules.append({**schedule.to_dict(), **lengths})
    return {
        'train_cfg.max_epochs': epochs,
        'train_dataloader.sampler.samples_per_epoch': (
            iterations // epochs * images_of_iteration(config)
        ),
        'param_scheduler': schedules,
    }


def images_of_iteration(config: Config) -> int:
    """Of one process: rows are trained so."""
    accumulated = config.optim_wrapper.get('accumulative_counts', 1)
    size, declared = config.train_dataloader.batch_size, config.get('auto_scale_lr')
    return step_batch(size, declared, accumulated=accumulated).of_iteration


def scaled(length: Any, share: float) -> Any:
    return [each * share for each in length] if isinstance(length, list | tuple) else length * share


@dataclass(frozen=True)
class Settings:
    """Everything that a row's weights depend on beside the code.

    config: SHA-256 of the whole config, bases included, and of the files that its model reads.
    steps: of the optimizer.
    data: folder of the images.
    """

    config: str
    steps: int
    seed: int
    data: str


@dataclass(frozen=True)
class Finished:
    """A row's pre-training at its end. seconds: of the run that ended it."""

    checkpoint: str
    steps: int
    seconds: float


class Row:
    """The files of one row and seed: its config, the pre-training beside it, and what ended it.

    given: changes beside the study's own, such as the checkpoint of another row.
    """

    def __init__(
        self, study: Study, tier: Tier, name: str, folder: Path, given: Changes | None = None
    ) -> None:
        self.name = name
        self.folder = folder
        self.recipe = tier.recipe
        self.changes = {**study.changes(name, tier), **(given or {})}
        self.config = folder / 'config.py'
        self.work_dir = folder / 'pretrain'
        self.log = folder / 'pretrain.log'

    def open(self, settings: Settings, note: str = '') -> Finished | None:
        """Write the config, or find what an earlier run left.

        Args:
            note: for the record of its checkpoints.

        Returns:
            What is finished already; None where there is something to train.

        Raises:
            UserError: the folder holds this row with other settings, or cannot be written.
        """
        kept = self.folder / 'settings.json'
        content = json.dumps(asdict(settings), indent=2)
        if kept.is_file() and kept.read_text() != content:
            raise UserError(
                f'{self.folder} holds {self.name} with {_change(kept, settings)}; give another '
                '--out, or delete that folder'
            )
        text = config_text(self.recipe, {**self.changes, **self.run(settings, note)})
        write_bytes_atomically(self.config, text.encode())
        write_bytes_atomically(kept, content.encode())
        return self.finished()

    def run(self, settings: Settings, note: str) -> dict[str, Any]:
        """Changes that say how much is trained, on what, and that it is no whole recipe."""
        config = self.resolved()
        hooks = [hook.to_dict() for hook in config.custom_hooks]
        return {
            **budget(config, settings.steps),
            'train_dataloader.dataset.root': settings.data,
            'train_dataloader.sampler.seed': settings.seed,
            'randomness.seed': settings.seed,
            'custom_hooks': [
                {**hook, 'note': note} if hook['type'] == 'MethodRecord' and note else hook
                for hook in hooks
            ],
        }

    def hidden_share(self) -> float:
        """What its masker hides: whole units, so not always the ratio a row is named for."""
        config = self.resolved()
        masker = build_masker(on_backbone(config.train_dataloader.dataset.masker, config))
        return float(masker.batch(SHARE_SAMPLES, np.random.default_rng(0)).mean())

    def resolved(self) -> Config:
        """The recipe with the row's changes."""
        return resolved(self.recipe, self.changes)

    def finished(self) -> Finished | None:
        """What `finish` wrote, if its checkpoint is still there."""
        path = self.folder / 'finished.json'
        if not path.is_file():
            return None
        found = Finished(**json.loads(path.read_text()))
        return found if Path(found.checkpoint).is_file() else None

    def finish(self, steps: int, seconds: float) -> Finished:
        checkpoint = (self.work_dir / 'last_checkpoint').read_text().strip()
        found = Finished(checkpoint, steps, round(seconds, 1))
        content = json.dumps(asdict(found), indent=2)
        write_bytes_atomically(self.folder / 'finished.json', content.encode())
        return found

    def picture(self) -> Path | None:
        """What the training drew of its predictions at its end; not every target has colours."""
        drawn = self.work_dir.glob('reconstructions/*.png')
        return max(drawn, key=lambda path: path.stat().st_mtime, default=None)

    def pace(self) -> tuple[int, float]:
        """Iterations done and seconds for one, from the log of a run that is under way."""
        logs = sorted(self.work_dir.glob('*/vis_data/scalars.json'))
        whole, _, _ = logs[-1].read_text().rpartition('\n') if logs else ('', '', '')
        # Lines without a time are a hook's own.
        lines = [line for line in map(json.loads, whole.splitlines()[-3:]) if 'time' in line]
        return (lines[-1]['step'], lines[-1]['time']) if lines else (0, 0.0)


def _change(kept: Path, settings: Settings) -> str:
    """What is different there, in words."""
    try:
        theirs: Mapping[str, Any] = json.loads(kept.read_text())
    except ValueError:
        return 'settings that cannot be read'
    ours = asdict(settings)
    key = next((key for key in ours if theirs.get(key) != ours[key]), 'other settings')
    return 'another recipe' if key == 'config' else f'{key} {theirs.get(key)}, not {ours.get(key)}'
