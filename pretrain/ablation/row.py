"""A row at a tier: its delta put on the tier's recipe, and how far it is."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mim_backbones.console.atomic_file import write_bytes_atomically
from mim_backbones.errors import UserError
from pretrain.ablation.study import Study, Tier
from pretrain.registry import TRANSFORMS, build

SHARE_SAMPLES = 256
BASE = re.compile(r'^_base_ = .*$', re.MULTILINE)


def row_config(text: str, base: Path) -> str:
    """A row's config with another recipe beneath it.

    A row says what changes in terms of its recipe (`{{_base_.img_size}}`), never by how much the
    recipes differ, so this is a change of one line.
    """
    text, count = BASE.subn(f'_base_ = {str(base)!r}', text)
    assert count == 1, 'a row has one line that starts with _base_ ='
    return text


@dataclass(frozen=True)
class Settings:
    """Everything that a row's weights depend on beside the code.

    config: SHA-256 of the whole config, bases included, and of the files that its target reads.
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
    """The files of one row: its config, the pre-training beside it, and what ended it."""

    def __init__(self, study: Study, tier: Tier, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.text = row_config(study.row_file(name, tier).read_text(), tier.base)
        self.config = folder / 'config.py'
        self.work_dir = folder / 'pretrain'
        self.log = folder / 'pretrain.log'

    def open(self, settings: Settings) -> Finished | None:
        """Write the config, or find what an earlier run left.

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
        write_bytes_atomically(self.config, self.text.encode())
        write_bytes_atomically(kept, content.encode())
        return self.finished()

    def hidden_share(self) -> float:
        """What its masker hides: whole units, so not always the ratio a row is named for."""
        cfg = self.resolved()
        masker = build(TRANSFORMS, cfg.train_dataloader.dataset.masker)
        return float(masker.batch(SHARE_SAMPLES, np.random.default_rng(0)).mean())

    def resolved(self) -> Config:
        """The whole config, bases included."""
        return Config.fromstring(self.text, '.py')

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
        """Steps done and seconds for one, from the log of a run that is under way."""
        logs = sorted(self.work_dir.glob('*/vis_data/scalars.json'))
        whole, _, _ = logs[-1].read_text().rpartition('\n') if logs else ('', '', '')
        # Lines without a time are a hook's own.
        lines = [line for line in map(json.loads, whole.splitlines()[-3:]) if 'time' in line]
        return (lines[-1]['step'], lines[-1]['time']) if lines else (0, 0.0)


def _change(kept: Path, settings: Settings) -> str:
    """What is different there, in words."""
    try:
        theirs = json.loads(kept.read_text())
    except ValueError:
        return 'settings that cannot be read'
    ours = asdict(settings)
    key = next((key for key in ours if theirs.get(key) != ours[key]), 'other settings')
    return 'another recipe' if key == 'config' else f'{key} {theirs.get(key)}, not {ours.get(key)}'
