"""Single-object tracking: what the suite has to know of it."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from downstream.evaluation.backbone_config import PATCH, fit_backbone
from downstream.task import Evaluation, Task
from downstream.tracking.data import TrackingData, describe

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

    from downstream.evaluation.job import Job
    from downstream.evaluation.progress import Progress
    from downstream.tracking.units import TrackingUnits


def fit(cfg: 'Config', job: 'Job', data: TrackingData) -> None:
    """Roots and lists of the data; backbone of the checkpoint; crops of as many tokens."""
    # Crops of as many tokens as in the recipe: their number is the resolution of the score map.
    own = cfg.model.backbone.patch_size
    patch = job.backbone.get('patch_size', PATCH['vit'])
    for name in ('template_size', 'search_size'):
        size = cfg.model[name] // own * patch
        cfg.model[name] = cfg.train_dataloader.dataset[name] = size
    fit_backbone(cfg, job, img_size=cfg.model.search_size)
    cfg.train_dataloader.dataset.seed = job.seed
    fit_data(cfg, data)


def fit_data(cfg: 'Config', data: TrackingData) -> None:
    """Roots and lists of the data."""
    cfg.train_dataloader.dataset.update(
        root=str(data.root), train_list=data.train_list, test_list=data.test_list
    )
    cfg.test_dataloader.dataset.update(root=str(data.root), list_file=data.test_list)


def run(runner: 'Runner', progress: 'Progress') -> Evaluation:
    """AUC, precision and normalised precision over the test sequences, and strips of some."""
    from downstream.evaluation.inference import fast_features
    from downstream.tracking.picture import write_strips

    with fast_features(runner, 'forward'):
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
    return Evaluation(metrics, metric.units, {'tracks.png': picture})


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
    fit_data=fit_data,
    run=run,
)
