"""Single-object tracking: what the suite has to know of it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from downstream.evaluation.backbone_config import task_backbone
from downstream.evaluation.fingerprint import listing_digest
from downstream.task import DataCard, Evaluation, Task

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

    from downstream.evaluation.job import Job
    from downstream.evaluation.progress import Progress
    from downstream.tracking.units import TrackingUnits


@dataclass(frozen=True)
class TrackingData:
    """LaSOT layout: `CATEGORY/CATEGORY-N` under `root`, and a list file for each split."""

    root: Path
    train_list: str = 'training_set.txt'
    test_list: str = 'testing_set.txt'

    def wanted(self) -> list[Path]:
        """What of the layout must be there."""
        return [self.root, self.root / self.train_list, self.root / self.test_list]


def describe(data: TrackingData) -> DataCard:
    """Raises UserError when a sequence is broken or on both lists."""
    from downstream.tracking.data import check_split, read_sequences

    check_split(data.root, data.train_list, data.test_list)
    sequences = [read_sequences(data.root, name) for name in (data.train_list, data.test_list)]
    return DataCard(
        name=data.root.name,
        root=str(data.root),
        fingerprint=listing_digest(
            [sequence.folder for split in sequences for sequence in split],
            (data.root / data.train_list, data.root / data.test_list),
        ),
        train=len(sequences[0]),
        val=len(sequences[1]),
    )


def fit(cfg: 'Config', job: 'Job', data: TrackingData) -> None:
    """Roots and lists of the data; backbone of the checkpoint; crops of as many tokens."""
    # The tokens of two crops have no CLS token.
    backbone = task_backbone(
        {**job.backbone, 'cls_token': False},
        cfg.model.backbone,
        job.checkpoint.path if job.checkpoint else None,
    )
    patch_size = backbone.get('patch_size', 16)
    for name in ('template_size', 'search_size'):
        size = cfg.model[name] // cfg.model.backbone.patch_size * patch_size
        cfg.model[name] = cfg.train_dataloader.dataset[name] = size
    cfg.model.backbone = backbone
    cfg.train_dataloader.dataset.update(
        root=str(data.root),
        train_list=data.train_list,
        test_list=data.test_list,
        seed=job.seed,
    )
    cfg.test_dataloader.dataset.update(root=str(data.root), list_file=data.test_list)


def run(runner: 'Runner', progress: 'Progress') -> Evaluation:
    """AUC, precision and normalised precision over the test sequences, and strips of some."""
    from downstream.tracking.evaluate import evaluate as track_and_score

    loader = runner.test_dataloader
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / 'tracks.png'
        found = track_and_score(
            runner.model,
            loader.dataset.sequences,
            device=str(next(runner.model.parameters()).device),
            protocol=runner.cfg.test_evaluator.protocol,
            batch_size=loader.batch_size,
            precision='auto',
            picture_path=picture,
            progress=lambda done, total: progress.update('evaluate', done, total),
        )
        return Evaluation(found.metrics, found.units, {'tracks.png': picture.read_bytes()})


def units() -> 'type[TrackingUnits]':
    from downstream.tracking.units import TrackingUnits

    return TrackingUnits


TASK = Task(
    name='tracking',
    aliases=('lasot',),
    data=TrackingData,
    unit='sequences',
    metrics={'AUC': 'AUC', 'P': 'P', 'P_norm': 'P norm'},
    headline=('AUC',),
    published={'AUC': 'AUC', 'P': 'P', 'P_norm': 'P_norm'},
    units=units,
    describe=describe,
    fit=fit,
    run=run,
)
