"""`mimbench bench eval`: both sides on the same few generated images."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from pycocotools.cocoeval import COCOeval

from downstream.bench import evaluators, versus
from downstream.bench.predictions import (
    CATEGORIES,
    CLASSES,
    DETECTIONS,
    INSTANCES,
    MAP,
    MAPS,
    TRUTH,
    read,
    write_instances,
    write_maps,
)
from downstream.commands.bench_eval import bench_eval

IMAGES = 12


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bench')
    write_instances(folder, IMAGES)
    write_maps(folder, 2)
    return folder


def test_sizes_and_counts_are_those_of_coco(tmp_path):
    write_instances(tmp_path, 100)
    truth = json.loads((tmp_path / TRUTH).read_text())
    per_image = len(truth['annotations']) / 100
    assert 6.3 < per_image < 8.3
    assert len(truth['categories']) == CATEGORIES
    ids = [category['id'] for category in truth['categories']]
    assert max(ids) > CATEGORIES  # with gaps
    assert {(image['width'], image['height']) for image in truth['images']} == {(640, 480)}
    kinds = {type(each['segmentation']) for each in truth['annotations']}
    assert kinds == {list, dict}  # polygons, and crowds as runs
    found = list(read(tmp_path / INSTANCES))
    assert [each[0] for each in found] == [image['id'] for image in truth['images']]
    assert {len(each[2]) for each in found} == {DETECTIONS}
    runs = np.median([len(mask['counts']) for each in found for mask in each[4]])
    assert 60 < runs < 400  # bytes; a predicted mask of COCO's sizes takes about as many


def test_sizes_and_classes_are_those_of_ade(folder):
    for prediction, label in read(folder / MAPS):
        assert prediction.shape == label.shape == MAP
        assert prediction.max() < CLASSES
        assert 0.5 < (prediction == label)[label < CLASSES].mean() < 0.9


@pytest.mark.parametrize('task', ['detection', 'segmentation', versus.LOGITS])
def test_both_sides_give_the_same_figures(task, folder, monkeypatch):
    monkeypatch.setattr(COCOeval, 'summarize', COCOeval.summarize)  # to be put back afterwards
    ours, theirs = (evaluators.measure(task, side, folder) for side in ('ours', 'theirs'))
    shared = ours['scores'].keys() & theirs['scores'].keys()
    assert len(shared) == (14 if task == 'detection' else 3)
    tolerance = 1e-9 if task == 'detection' else 1e-4  # mmseg adds in float32
    assert {key: ours['scores'][key] for key in shared} == pytest.approx(
        {key: theirs['scores'][key] for key in shared}, abs=tolerance
    )
    assert ours['seconds'] > 0 and theirs['seconds'] > 0 and ours['interval_seconds'] > 0


@pytest.mark.slow
def test_the_command_measures_each_side_in_its_own_process():
    done = CliRunner().invoke(bench_eval, ['--images', '20', '--task', 'detection', '--json'])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.output)
    assert (row['what'], row['images'], row['figures']) == ('detection', 20, 14)
    assert row['difference'] < 1e-9
    assert row['speedup'] > 3  # of few images on a busy machine; the aim is stated in the README
    assert row['memory_share'] is None or row['memory_share'] < 0.5
