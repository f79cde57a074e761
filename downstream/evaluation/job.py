"""A job: one checkpoint on one task with one seed, as plain data, and its files."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pprint import pformat
from typing import Any

from downstream.results.result import Checkpoint, Protocol
from downstream.robustness.conditions import Conditions
from downstream.task import DataCard

# Beside each other in the job's log folder.
JOB_FILE, CONFIG, LOG = 'job.json', 'config.py', 'log.txt'
FAILURE, PROGRESS = 'failure.txt', 'progress.json'


@dataclass(frozen=True)
class Identity:
    """What is run, as digests; job_config.py says what goes into which.

    changes: what the user's options change in the protocol, dotted key -> value.
    """

    config: str = ''
    protocol: str = ''
    backbone: str = ''
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One evaluation.

    backbone: constructor arguments as the checkpoint records them.
    out: folder of the results; logs go to a folder of the job's own below `out/logs`.
    options: dotted keys of the user over the recipe.
    conditions: corruptions under which the trained model is scored too; no part of the identity.
    threads: of the whole job, shared by its processes.
    """

    name: str
    checkpoint: Checkpoint | None
    method: str
    backbone: dict[str, Any]
    protocol: Protocol
    recipe: str
    seed: int
    card: DataCard
    out: str
    options: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    processes: int = 1
    keep_checkpoints: bool = False
    command: str = ''
    identity: Identity = Identity()
    conditions: Conditions | None = None

    @property
    def task(self) -> str:
        return self.protocol.task

    @property
    def title(self) -> str:
        return f'{self.name} · {self.task} {self.protocol.name} · seed {self.seed}'

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells results apart: `result_key` of the job's result."""
        digest = self.checkpoint.sha256 if self.checkpoint else None
        ran = (self.task, self.protocol, self.identity.config, self.card.fingerprint, self.seed)
        return (self.name, digest, *ran)

    @property
    def log_folder(self) -> Path:
        """Where log, job, config, progress and checkpoints go."""
        digest = self.checkpoint.sha256[:8] if self.checkpoint else 'none'
        content = f'{self.identity.config} {self.card.fingerprint}'
        ran = hashlib.sha256(content.encode()).hexdigest()[:8]
        parts = (self.name, digest, self.task, self.protocol.name, ran, f'seed{self.seed}')
        clean = (re.sub(r'[^A-Za-z0-9_-]+', '-', part).strip('-') for part in parts)
        return Path(self.out) / 'logs' / '.'.join(clean)

    def save(self, config: dict[str, Any]) -> Path:
        """Write the job and its config (plain values); returns the job's file.

        What an earlier run left of its progress or failure is forgotten, its checkpoints are kept.
        """
        folder = self.log_folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in (PROGRESS, FAILURE):
            (folder / name).unlink(missing_ok=True)
        lines = (f'{k} = {pformat(v, width=100, sort_dicts=False)}\n' for k, v in config.items())
        (folder / CONFIG).write_text(''.join(lines))
        (folder / JOB_FILE).write_text(json.dumps(asdict(self), indent=2))
        return folder / JOB_FILE

    @classmethod
    def load(cls, path: Path) -> 'Job':
        content = json.loads(path.read_text())
        kinds = {'protocol': Protocol, 'card': DataCard, 'identity': Identity}
        optional = {'checkpoint': Checkpoint, 'conditions': Conditions}
        kinds |= {key: kind for key, kind in optional.items() if content[key] is not None}
        return cls(**{**content, **{key: kind(**content[key]) for key, kind in kinds.items()}})
