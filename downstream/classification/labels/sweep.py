"""Checkpoints x readers x numbers of labels x seeds, on features that are computed once.

    backbone -> features of all training and test pictures          once for each checkpoint
    seed, number of labels -> labelled pictures, held-out pictures  shares.py
    -> `FeatureReader.fit`, its best classifier on the held-out     what `mimbench eval` finds too

A random start is another one with each seed; a checkpoint is the same, so that its interval says
nothing of other pre-trainings.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from downstream.classification.data import Index
from downstream.classification.labels.lists import write_list
from downstream.classification.metric import TopK
from downstream.classification.pictures import LabelledPictures
from downstream.classification.ranks import Ranks, ranks_of
from downstream.classification.reader import FeatureReader
from downstream.classification.shares import choose
from downstream.classification.units import ClassificationUnits
from downstream.evaluation.plan import Planned
from downstream.registry import MODELS
from mim_backbones.errors import UserError
from mim_backbones.training.precision import autocast

ASKED = 512  # pictures that are scored at a time


@dataclass(frozen=True)
class Labels:
    """How many pictures are labelled: of each class, a share of each class, or those of a list.

    listed: indices into the training pictures.
    """

    name: str
    per_class: int | None = None
    share: float = 1.0
    listed: NDArray[np.int64] | None = None

    def choose(
        self, labels: Sequence[int], seed: int, held_out: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices of the labelled and of the held-out pictures."""
        if self.listed is None:
            return choose(labels, seed, held_out, self.share, self.per_class)
        held = choose(labels, seed, held_out)[1]
        return self.listed, np.setdiff1d(held, self.listed)


@dataclass(frozen=True)
class Cell:
    """One score. labels: pictures that were labelled; classifier: which one counts."""

    checkpoint: str
    protocol: str
    asked: str
    labels: int
    seed: int
    top1: float
    top5: float
    classifier: str
    units: ClassificationUnits = field(repr=False, compare=False)


@dataclass(frozen=True)
class PictureFeatures:
    """Names of pictures, features (N, P, D) float32 and labels (N,)."""

    names: list[str]
    features: Tensor
    labels: Tensor


def sweep(
    planned: Sequence[Planned], counts: Sequence[Labels], say: Callable[[str], None]
) -> Iterator[Cell]:
    """All cells: of each checkpoint and protocol, by seed, then by number of labels.

    Args:
        planned: jobs of protocols whose model is a `FeatureReader`.
        say: takes a line on what is being done.

    Raises:
        UserError: another protocol, or nothing to choose a classifier by.
    """
    init_default_scope('downstream')
    for one in planned:
        check(one)
    kept: dict[str, tuple[PictureFeatures, PictureFeatures]] = {}
    name = ''
    for one in planned:
        cfg, job = one.config, one.job
        held_out = cfg.test_dataloader.dataset.held_out
        reader = reader_of(cfg, job.seed)
        key = features_key(cfg, job.name, None if job.checkpoint else job.seed)
        if job.name != name:
            kept, name = {}, job.name
        if key not in kept:
            say(f'{job.name}: features of all pictures')
            kept[key] = features_of(reader, cfg, 'train'), features_of(reader, cfg, 'val')
        train, test = kept[key]
        for labels in counts:
            yield cell(reader, one, labels, train, test, held_out)


def check(one: Planned) -> None:
    """Raises UserError for a protocol that trains, or has nothing to choose a classifier by."""
    name, cfg = one.job.protocol.name, one.config
    if not issubclass(MODELS.get(cfg.model.type), FeatureReader):
        raise UserError(
            f'protocol {name} trains; labels are counted for those that read features: --protocol '
            'knn-..., ridge-..., logistic-...'
        )
    if not cfg.test_dataloader.dataset.get('held_out'):
        raise UserError(
            f'protocol {name} holds no pictures out to choose by; give --cfg-options '
            'test_dataloader.dataset.held_out=0.1'
        )


def reader_of(cfg: Config, seed: int) -> FeatureReader:
    """The model with its weights, as a run of that seed starts."""
    set_random_seed(seed)
    reader = MODELS.build(cfg.model)
    reader.init_weights()
    return reader.eval().to('cuda' if torch.cuda.is_available() else 'cpu')


def features_key(cfg: Config, name: str, seed: int | None) -> str:
    """What features depend on: a checkpoint, and how it looks at pictures."""
    views = [cfg[f'{split}_dataloader'].dataset.view for split in ('train', 'test')]
    said = [cfg.model.backbone, cfg.model.get('data_preprocessor'), *views]
    return json.dumps([name, seed, *said], sort_keys=True, default=str)


@torch.no_grad()
def features_of(reader: FeatureReader, cfg: Config, split: str) -> PictureFeatures:
    """Of every picture of a split."""
    loader = cfg.train_dataloader if split == 'train' else cfg.test_dataloader
    options: dict[str, Any] = {**loader.dataset, 'split': split, 'held_out': 0.0, 'share': 1.0}
    options = {k: v for k, v in options.items() if k not in ('type', 'per_class')}
    pictures = LabelledPictures(**options)
    device = reader.nothing.device
    names, features, labels = [], [], []
    for batch in DataLoader(pictures, loader.batch_size, num_workers=loader.num_workers):
        inputs = reader.data_preprocessor({'inputs': batch['inputs']})['inputs']
        with autocast(device.type, 'auto'):
            features.append(reader.extract(inputs).float().cpu())
        names += batch['name']
        labels.append(batch['label'])
    return PictureFeatures(names, torch.cat(features), torch.cat(labels))


@torch.no_grad()
def cell(
    reader: FeatureReader,
    one: Planned,
    labels: Labels,
    train: PictureFeatures,
    test: PictureFeatures,
    held_out: float,
) -> Cell:
    """Fits the classifiers to the labelled pictures and scores the one that the others choose."""
    job, device = one.job, reader.nothing.device
    labelled, held = labels.choose(train.labels.tolist(), job.seed, held_out)
    reader.fit(train.features[labelled].to(device), train.labels[labelled].to(device))
    metric = TopK()
    found: list[Ranks] = []
    for names, features, truth, chooses in (
        ([train.names[i] for i in held], train.features[held], train.labels[held], True),
        (test.names, test.features, test.labels, False),
    ):
        for rows in torch.arange(len(names)).split(ASKED):
            scores = reader.scores(features[rows].to(device))
            asked = truth[rows].to(device)
            only = torch.full((len(rows),), chooses)
            some = [names[row] for row in rows.tolist()]
            found += ranks_of(scores, asked, some, only, reader.logits)
    metrics = metric.compute_metrics([(one.name, one) for one in found])
    return Cell(
        checkpoint=job.name,
        protocol=job.protocol.name,
        asked=labels.name,
        labels=len(labelled),
        seed=job.seed,
        top1=metrics['top1'],
        top5=metrics['top5'],
        classifier=reader.names[metric.best],
        units=metric.units,
    )


def write_lists(
    folder: Path, planned: Sequence[Planned], counts: Sequence[Labels], training: Index
) -> None:
    """What was labelled, a file for each seed and number of labels, under the first protocol."""
    first = planned[0].job.protocol
    for seed, held_out in {
        one.job.seed: one.config.test_dataloader.dataset.held_out
        for one in planned
        if one.job.protocol == first
    }.items():
        for labels in counts:
            if labels.listed is None:
                name = labels.name.replace(' a ', '-per-').replace(' %', '-percent')
                chosen = labels.choose(training.labels, seed, held_out)[0]
                write_list(folder / f'seed{seed}_{name}.txt', training.files, chosen)
