"""Image classification: what the suite has to know of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downstream.classification.data import FOLDERS, ClassificationData, describe, train_index
from downstream.evaluation.backbone_config import family_of, fit_backbone
from downstream.task import Evaluation, Task
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

    from downstream.classification.units import ClassificationUnits
    from downstream.evaluation.job import Job
    from downstream.evaluation.progress import Progress


def fit(cfg: 'Config', job: 'Job', data: ClassificationData) -> None:
    """Roots and classes of the data; backbone of the checkpoint under the protocol.

    Raises:
        UserError: the protocol reads what the checkpoint lacks.
    """
    pooled = {'fc_norm': True} if cfg.model.backbone.get('fc_norm') else {}
    fit_backbone(cfg, job)
    cfg.model.backbone.update(pooled)  # which no dense task has a use for
    refuse_unreadable(cfg, job.backbone)
    fit_data(cfg, data)
    # Of one seed, what is labelled and what only chooses among probes are apart.
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.dataset.seed = job.seed


def refuse_unreadable(cfg: 'Config', recorded: Mapping[str, Any]) -> None:
    """Raises UserError where a protocol reads what the checkpoint lacks."""
    model, backbone, lacks = cfg.model, cfg.model.backbone, ''
    if 'mean' not in model.get('pools', [model.get('pool', 'mean')]):
        lacks = '' if backbone.get('cls_token', True) else 'CLS token'
    if all('final' in norm for norm in model.get('norms', ['none'])):
        lacks = lacks if backbone.get('final_norm', True) else 'final norm'
    if family_of(recorded) == 'swin' and not ends_in_norm(recorded):
        lacks = 'final norm'
    if lacks:
        raise UserError(
            f'protocol {cfg.protocol.name} reads the {lacks}, which this checkpoint lacks; take '
            'another: --protocol NAME'
        )


def ends_in_norm(swin: Mapping[str, Any]) -> bool:
    """Whether a MIMSwin of that config has one norm behind its last stage."""
    several = len(swin.get('out_indices') or (3,)) > 1
    return (swin.get('output_norm') or ('each' if several else 'final')) == 'final'


def fit_data(cfg: 'Config', data: ClassificationData) -> None:
    """Roots and classes of the data."""
    cfg.model.num_classes = len(train_index(data).classes)
    for split in ('train', 'val', 'test'):
        if f'{split}_dataloader' in cfg:
            cfg[f'{split}_dataloader'].dataset.update(
                root=str(data.root),
                train=data.train,
                val=data.val,
                train_list=data.train_list,
                val_list=data.val_list,
            )
            for key, usual in (('layout', FOLDERS), ('class_names', '')):
                cfg[f'{split}_dataloader'].dataset.pop(key, None)  # of the recipe's own set
                if getattr(data, key) != usual:
                    cfg[f'{split}_dataloader'].dataset[key] = getattr(data, key)


def run(runner: 'Runner', progress: 'Progress') -> Evaluation:
    """Accuracies and calibration over the val split; of several classifiers, top-1 of each too."""
    from downstream.evaluation.inference import fast_features

    with fast_features(runner, 'extract'):
        metrics = runner.test()
    scored = runner.test_evaluator.metrics[0]
    names = getattr(runner.model, 'names', ())
    if scored.units is None:  # another process gathers
        return Evaluation(metrics)
    reliability = scored.units.reliability()
    tables = {'calibration': reliability} if reliability else {}
    if not names:
        return Evaluation(metrics, scored.units, tables=tables)
    rows = {
        name: {key: value for key, value in zip(('held out', 'test'), row) if value == value}
        for name, row in zip(names, scored.grid.round(3).tolist(), strict=True)
    }
    note = f'classification: of {len(names)} classifiers counts {names[scored.best]}'
    return Evaluation(metrics, scored.units, notes=(note,), tables={'top-1': rows, **tables})


def score_predictions(data: ClassificationData, predictions: Path) -> Evaluation:
    """Of a file of scores or classes; see predictions.py."""
    from downstream.classification.predictions import score_file

    return score_file(data, predictions)


def units() -> 'type[ClassificationUnits]':
    from downstream.classification.units import ClassificationUnits

    return ClassificationUnits


TASK = Task(
    name='classification',
    aliases=('imagenet',),
    data=ClassificationData,
    unit='pictures',
    metrics={
        'top1': 'top-1',
        'top5': 'top-5',
        'class_mean': 'mean of classes',
        'ece': 'calibration error',
    },
    headline=('top1', 'class_mean'),
    published={'top1': 'top1'},
    units=units,
    describe=describe,
    fit=fit,
    fit_data=fit_data,
    run=run,
    score_predictions=score_predictions,
    shifts=ClassificationData.shifts,
)
