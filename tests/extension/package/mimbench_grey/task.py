"""The task `brightness`: how well a backbone tells how bright a picture is."""

from dataclasses import dataclass
from pathlib import Path

from downstream.task import DataCard, Evaluation, Task


@dataclass(frozen=True)
class BrightnessData:
    """`brightness: {root: FOLDER}` of the data YAML; pictures in train/ and val/."""

    root: Path


def describe(data: BrightnessData) -> DataCard:
    count = {split: len(list((data.root / split).rglob('*.JPEG'))) for split in ('train', 'val')}
    return DataCard(data.root.name, str(data.root), str(count), count['train'], count['val'])


def fit(cfg, job, data: BrightnessData) -> None:
    from downstream.evaluation.backbone_config import fit_backbone

    fit_backbone(cfg, job)
    cfg.train_dataloader.dataset.root = cfg.test_dataloader.dataset.root = str(data.root)


def run(runner, progress) -> Evaluation:
    metrics = runner.test()
    return Evaluation(metrics, runner.test_evaluator.metrics[0].units)


def units() -> type:
    from mimbench_grey.units import GreyUnits

    return GreyUnits


TASK = Task(
    name='brightness',
    data=BrightnessData,
    unit='pictures',
    metrics={'accuracy': 'accuracy'},
    headline=('accuracy',),
    describe=describe,
    fit=fit,
    run=run,
    units=units,
)
