"""Single-object tracking: what the suite has to know of it."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from downstream.evaluation.backbone_config import PATCH, family_of, fit_backbone
from downstream.task import DataCard, Evaluation, Task
from downstream.tracking.data import TrackingData
from downstream.tracking.data import describe as describe_lasot
from downstream.tracking.scoring.rules import GOT10K, PROTOCOLS
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

    from downstream.evaluation.job import Job
    from downstream.evaluation.progress import Progress
    from downstream.tracking.units import TrackingUnits


def fit(cfg: 'Config', job: 'Job', data: TrackingData) -> None:
    """Roots and lists of the data; backbone of the checkpoint; crops of as many tokens."""
    # Crops of as many tokens as in the recipe: their number is the resolution of the score map.
    family = family_of(job.backbone)
    own = cfg.model.backbone.get('patch_size', PATCH.get(family, PATCH['vit']))
    patch = job.backbone.get('patch_size', PATCH.get(family, own))
    for name in ('template_size', 'search_size'):
        size = cfg.model[name] // own * patch
        cfg.model[name] = cfg.train_dataloader.dataset[name] = size
    fit_backbone(cfg, job, img_size=cfg.model.search_size)
    cfg.train_dataloader.dataset.seed = job.seed
    fit_data(cfg, data)


def fit_data(cfg: 'Config', data: TrackingData) -> None:
    """Roots and lists of the data, those of each training set.

    Raises UserError for a set that the recipe names and the data does not.
    """
    if data.layout == GOT10K:
        raise UserError(f'{data.root}: layout got10k is for `mimbench score`; trackers are trained '
                        'and tested on layout lasot')  # fmt: skip
    for one in cfg.train_dataloader.dataset.sets:
        if one.name == 'lasot':
            one.update(root=str(data.root), train_list=data.train_list, test_list=data.test_list)
            continue
        root = getattr(data, one.name)
        if root is None:
            raise UserError(
                f'this protocol trains on {one.name} too; add `{one.name}: FOLDER` to the data '
                "file's tracking"
            )
        one.root = str(root)
    cfg.test_dataloader.dataset.update(root=str(data.root), list_file=data.test_list)


def describe(data: TrackingData) -> DataCard:
    """Raises UserError for a layout that is none, or a broken sequence."""
    if data.layout == GOT10K:
        from downstream.tracking.scoring.got10k import describe as describe_got10k

        return describe_got10k(data)
    if data.layout != 'lasot':
        raise UserError(f'tracking: layout is {data.layout!r}; known: lasot, {GOT10K}')
    return describe_lasot(data)


def run(runner: 'Runner', progress: 'Progress') -> Evaluation:
    """AUC, precision and normalised precision over the test sequences, curves, strips of some."""
    from downstream.evaluation.inference import fast_features
    from downstream.tracking.curve_plot import draw_curves
    from downstream.tracking.picture import write_strips
    from downstream.tracking.runs.kept import kept_tracks
    from downstream.tracking.scoring.confidence import (
        confidence_tables,
        draw_confidence,
        pooled_confidence,
    )
    from downstream.tracking.scoring.predictions import scores_by_protocol

    with fast_features(runner, 'forward'), kept_tracks(runner):
        metrics = runner.test()
    metric = runner.test_evaluator.metrics[0]
    if metric.units is None:  # of several processes the first has the scores
        return Evaluation(metrics)
    auc = 100 * metric.units.success.mean(1)
    order = auc.argsort(kind='stable')[::-1].tolist()
    shown = dict.fromkeys((order[0], order[len(order) // 2], order[-1]))
    sequences = {one.name: one for one in runner.test_dataloader.dataset.sequences}
    names = metric.units.names
    rows = [
        (f'{names[i]}  AUC {auc[i]:.1f}', sequences[names[i]], metric.tracks[names[i]])
        for i in shown
    ]
    with tempfile.TemporaryDirectory() as folder:
        picture = write_strips(Path(folder) / 'tracks.png', rows).read_bytes()
    curves = draw_curves(metric.units, metric.protocol)
    pictures = {'curves.png': curves, 'tracks.png': picture}
    videos = [sequences[name] for name in names]
    boxes = {name: track.boxes for name, track in metric.tracks.items()}
    scores = {name: track.scores for name, track in metric.tracks.items()}
    runs = {name: [each] for name, each in boxes.items()}
    tables = {'protocols': scores_by_protocol(videos, runs)}
    told = pooled_confidence(videos, boxes, scores, metric.protocol)
    if told.events:
        tables |= confidence_tables(told)
        pictures['confidence.png'] = draw_confidence(told)
    return Evaluation(metrics, metric.units, pictures, rules=metric.protocol, tables=tables)


def score_predictions(data: TrackingData, predictions: Path, protocol: str) -> Evaluation:
    """Scores of result files, by the rules of `protocol`."""
    from downstream.tracking.scoring.predictions import score_tracks

    return score_tracks(data, predictions, protocol)


def units() -> 'type[TrackingUnits]':
    from downstream.tracking.units import TrackingUnits

    return TrackingUnits


TASK = Task(
    name='tracking',
    aliases=('lasot',),
    data=TrackingData,
    unit='sequences',
    metrics={
        'AUC': 'AUC',
        'P': 'P',
        'P_norm': 'P norm',
        'AO': 'AO',
        'SR_50': 'SR 0.50',
        'SR_75': 'SR 0.75',
    },
    headline=('AUC', 'AO'),
    published={'AUC': 'AUC', 'P': 'P', 'P_norm': 'P_norm'},
    units=units,
    describe=describe,
    fit=fit,
    fit_data=fit_data,
    run=run,
    score_predictions=score_predictions,
    score_protocols=(*PROTOCOLS, GOT10K),
)
