"""A folder of made-up but consistent results: every metric is what its units give."""

import hashlib
import io
import shutil

import numpy as np
import pytest
from PIL import Image, ImageDraw

from downstream.detection.units import IOU_THRESHOLDS, DetectionUnits, MatchTable
from downstream.results.interval import half_scores
from downstream.results.result import Checkpoint, Protocol, Result, write_result
from downstream.results.robustness import Robustness, Scored, row_name
from downstream.robustness.conditions import VERSION
from downstream.segmentation.units import SegmentationUnits
from downstream.tracking.units import TrackingUnits

PROTOCOLS = {
    'detection': Protocol('mask-rcnn-vit', '1', 'detection', 'smoke'),
    'segmentation': Protocol('upernet-vit', '1', 'segmentation', 'smoke'),
    'tracking': Protocol('one-stream', '1', 'tracking', 'smoke'),
}
PRIMARY = {
    'classification': 'top1', 'detection': 'box_mAP', 'segmentation': 'mIoU', 'tracking': 'AUC',
}  # fmt: skip
SKILL = {'random init': 0.45, 'simmim': 0.62, 'mae': 0.48}


def segmentation_units(skill, seed, count=60, classes=8):
    """Images of one difficulty for all systems; `skill` is the share of pixels that are right."""
    hard = np.random.default_rng(1).normal(0, 0.08, (count, classes))
    rng = np.random.default_rng(seed + int(1000 * skill))
    labelled = np.random.default_rng(2).integers(50, 400, (count, classes))
    right = np.clip(skill + hard + rng.normal(0, 0.03, hard.shape), 0.05, 0.95)
    intersect = (labelled * right).astype(int)
    predicted = intersect + rng.permuted(labelled - intersect, axis=1)
    return SegmentationUnits([f'image-{n}' for n in range(count)], intersect, predicted, labelled)


def tracking_units(skill, seed, count=40):
    rng = np.random.default_rng(seed + int(1000 * skill))
    hard = np.random.default_rng(3).normal(0, 0.12, count)
    level = np.clip(skill + hard + rng.normal(0, 0.05, count), 0.05, 0.95)[:, None]
    success = np.clip(1.3 * level - np.linspace(0, 1, 21) * (1.5 - level), 0, 1)
    rising = 1 - np.exp(-np.linspace(0, 5, 51) * level)
    return TrackingUnits([f'cat-{n}' for n in range(count)], success, rising * level, rising)


def detection_units(skill, seed, count=60, categories=4):
    rng = np.random.default_rng(seed + int(1000 * skill))
    num_gt = np.random.default_rng(4).integers(0, 3, (count, categories))
    image, category, overlap, score = [], [], [], []
    for u, k in zip(*np.nonzero(num_gt)):
        for _ in range(num_gt[u, k]):
            quality = rng.beta(6 * skill + 1, 3)
            image += [u, u]
            category += [k, k]
            overlap += [quality, 0.0]
            score += [0.3 * rng.random() + 0.7 * quality, 0.8 * rng.random() * (1.2 - skill)]
    tables = {}
    for iou_type, handicap in (('box', 0.0), ('mask', 0.06)):
        matched = np.array(overlap)[:, None] - handicap >= IOU_THRESHOLDS
        tables[iou_type] = MatchTable(
            np.array(image), np.array(category), np.array(score), matched, np.zeros_like(matched)
        )
    return DetectionUnits([str(n) for n in range(count)], num_gt, tables)


MAKE = {
    'detection': detection_units,
    'segmentation': segmentation_units,
    'tracking': tracking_units,
}


def draw_picture(text, size=(640, 200)):
    image = Image.new('RGB', size, '#dfe8f0')
    draw = ImageDraw.Draw(image)
    for n, colour in enumerate(('#4c78a8', '#f58518', '#54a24b', '#e45756')):
        left = 10 + n * size[0] // 4
        draw.ellipse((left, 30, left + 100, 130), fill=colour)
    draw.text((10, size[1] - 20), text, fill='black')
    stream = io.BytesIO()
    image.save(stream, 'PNG')
    return stream.getvalue()


def make_result(name, task, seed=0, units=None, **changes):
    """A result and its units."""
    units = units or MAKE[task](SKILL.get(name, 0.5), seed)
    protocol = changes.pop('protocol', None) or PROTOCOLS[task]
    fields = {
        'name': name,
        'checkpoint': None if name == 'random init' else Checkpoint(f'{name}.pth', name * 8),
        'method': name.upper(),
        'architecture': 'ViT-Ti/16',
        'task': task,
        'protocol': protocol,
        'metrics': {key: round(value, 2) for key, value in units.observed().items()},
        'primary': PRIMARY[task],
        'seed': seed,
        'cost': {
            'seconds': 41.5 + seed,
            'train_seconds': 30.25,
            'eval_seconds': 11.25 + seed,
            'peak_memory_mib': 1210.0,
            'train_images_per_second': 96.0,
        },
        'versions': {'mimbench': '0.1.0', 'torch': '2.13.0', 'numpy': '2.2.6'},
        'data': {
            'name': 'synthetic-small',
            'root': 'world',
            'fingerprint': '5e1f' * 16,
            'train': 200,
            'val': len(units),
        },
        'config_sha256': 'c0ffee' * 10,
        'run': {
            'date': f'2026-11-2{seed}T09:30:00+00:00',
            'command': f'mimbench eval {name}.pth --data world --out results',
            'cpu': 'Xeon 8488C, 2 cores',
            'gpus': [],
            'threads': 1,
        },
    }
    fields |= changes
    # as `eval` takes them: of what was run, and of the backbone's options
    ran = (str(fields['protocol']), fields.get('changes', {}))
    fields.setdefault('protocol_sha256', hashlib.sha256(repr(ran).encode()).hexdigest())
    built = fields['architecture'].encode()
    fields.setdefault('backbone_sha256', hashlib.sha256(built).hexdigest())
    return Result(**fields), units


@pytest.fixture(scope='session')
def made_up():
    """(name, task, seed=0, units=None, **changes) -> a result and its units."""
    return make_result


@pytest.fixture(scope='session')
def picture():
    """(text, size=(640, 200)) -> an encoded PNG."""
    return draw_picture


@pytest.fixture(scope='session')
def shared_results_dir(tmp_path_factory):
    """Three checkpoints on three tasks; segmentation with three seeds. Not to be written to."""
    folder = tmp_path_factory.mktemp('results')
    for task in MAKE:
        for name in SKILL:
            for seed in (0, 1, 2) if task == 'segmentation' else (0,):
                samples = draw_picture(f'{task}: truth above, {name} below')
                write_result(folder, *make_result(name, task, seed), {'samples.png': samples})
    return folder


@pytest.fixture
def results_dir(shared_results_dir, tmp_path):
    """A copy of `shared_results_dir` of the test's own."""
    return shutil.copytree(shared_results_dir, tmp_path / 'results')


def make_scored(name, task, seed=0, corruptions=('fog', 'snow', 'frost'), severities=(1, 3, 5)):
    """Scores under corruption that fall with severity, the later corruptions harder."""
    skill = SKILL.get(name, 0.5)
    rows = {'clean': half_scores(MAKE[task](skill, seed))}
    scores = {}
    for place, corruption in enumerate(corruptions):
        scores[corruption] = {}
        for severity in severities:
            lost = 0.04 * severity * (1 + 0.2 * place)
            units = MAKE[task](skill * (1 - lost), seed)
            observed = {key: round(value, 2) for key, value in units.observed().items()}
            scores[corruption][str(severity)] = observed
            rows[row_name(corruption, severity)] = half_scores(units)
    return Scored(Robustness(scores, 'drawn', VERSION), rows)


@pytest.fixture(scope='session')
def scored():
    """(name, task, seed=0, corruptions, severities) -> scores under corruption."""
    return make_scored


@pytest.fixture(scope='session')
def shared_corrupted_dir(tmp_path_factory):
    """As `shared_results_dir`, of segmentation alone, all scored under three corruptions."""
    folder = tmp_path_factory.mktemp('corrupted')
    for name in SKILL:
        for seed in (0, 1):
            result, units = make_result(name, 'segmentation', seed)
            write_result(folder, result, units, scored=make_scored(name, 'segmentation', seed))
    return folder
