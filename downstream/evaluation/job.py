"""A job: one checkpoint on one task with one seed. Plain data, for its own process."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downstream.results.result import Checkpoint, Protocol
from downstream.task import DataCard

if TYPE_CHECKING:
    from mmengine.config import Config

# Where things lie says nothing about what is computed; the data have a fingerprint of their own.
PLACES = frozenset(
    {'work_dir', 'data_root', 'root', 'ann_file', 'checkpoint', 'load_from', 'resume'}
)


@dataclass(frozen=True)
class Job:
    """One evaluation.

    backbone: constructor arguments as the checkpoint records them.
    data: the data YAML.
    out: folder of the results; logs go under `logs/STEM`.
    """

    name: str
    checkpoint: Checkpoint | None
    method: str
    backbone: dict[str, Any]
    task: str
    protocol: Protocol
    recipe: str
    seed: int
    data: str
    card: DataCard
    out: str
    threads: int = 1
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f'{self.name} · {self.task} · seed {self.seed}'

    @property
    def log_folder(self) -> Path:
        """Where log, job file and progress go; the job's own."""
        digest = self.checkpoint.sha256[:8] if self.checkpoint else 'none'
        name = re.sub(r'[^A-Za-z0-9_-]+', '-', self.name).strip('-')
        return Path(self.out) / 'logs' / f'{name}.{digest}.{self.protocol.name}.seed{self.seed}'

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2))

    @classmethod
    def load(cls, path: Path) -> 'Job':
        content = json.loads(path.read_text())
        if content['checkpoint'] is not None:
            content['checkpoint'] = Checkpoint(**content['checkpoint'])
        content['protocol'] = Protocol(**content['protocol'])
        content['card'] = DataCard(**content['card'])
        return cls(**content)


def config_digest(cfg: 'Config') -> str:
    """SHA-256 of a config, paths left out."""
    content = json.dumps(_without_places(cfg.to_dict()), sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with Path(path).open('rb') as stream:
        while chunk := stream.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def listing_digest(folders: Iterable[Path], contents: Iterable[Path] = ()) -> str:
    """SHA-256 over names and sizes of the files in `folders` and the bytes of `contents`."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(p for p in folder.rglob('*') if p.is_file()):
            digest.update(f'{path.relative_to(folder)} {path.stat().st_size}\n'.encode())
    for path in contents:
        digest.update(file_digest(path).encode())
    return digest.hexdigest()[:16]


def _without_places(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _without_places(value) for key, value in node.items() if key not in PLACES}
    if isinstance(node, list | tuple):
        return [_without_places(value) for value in node]
    return node
