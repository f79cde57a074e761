"""`mimbench score`: predictions made elsewhere, right and wrong."""

import copy
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools import mask as rle

from downstream.results.result import ELSEWHERE, load_units, read_results
from downstream.task import tasks
from mim_backbones.console.cli import main
from tests.downstream.detection.worlds import oracle


@pytest.fixture(scope='module')
def sets(tmp_path_factory, world):
    """A data file of both tasks; one image of the val split has no annotation."""
    root = tmp_path_factory.mktemp('sets')
    for name in ('coco', 'ade'):
        shutil.copytree(world / name, root / name)
    shutil.copy(world / 'data.yaml', root / 'data.yaml')
    return root


@pytest.fixture
def score(monkeypatch, capsys, sets, tmp_path):
    """Runs `mimbench score ...`; gives exit code, standard output and standard error."""

    def run(task, predictions, *more, name='theirs', out=tmp_path / 'results'):
        words = ['--task', task, '--predictions', predictions, '--data', sets / 'data.yaml']
        words += ['--name', name, '--out', out, *more]
        monkeypatch.setattr(sys, 'argv', ['mimbench', 'score', *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()

    return run


def truth_of(sets):
    from downstream.detection.metric import read_truth

    return read_truth(str(sets / 'coco/annotations/instances_val2017.json'))


def results_of(truth, seed=0):
    """Every object found, somewhat shifted, and as many inventions."""
    rng = np.random.default_rng(seed)
    entries = []
    for each in truth.anns.values():
        image = truth.imgs[each['image_id']]
        mask = np.roll(rle.decode(truth.annToRLE(each)), rng.integers(-2, 3, 2), (0, 1))
        for category in (each['category_id'], int(rng.choice(list(truth.cats)))):
            encoded = rle.encode(np.asfortranarray(mask))
            entries.append(
                {
                    'image_id': image['id'],
                    'category_id': category,
                    'score': float(rng.random()),
                    'bbox': rle.toBbox(encoded).tolist(),
                    'segmentation': {
                        'size': encoded['size'],
                        'counts': encoded['counts'].decode(),
                    },
                }
            )
    return entries


def write(path, entries):
    path.write_text(json.dumps(entries))
    return path


def test_a_results_file_scores_as_pycocotools_scores_it(score, sets, tmp_path):
    truth = truth_of(sets)
    entries = results_of(truth)
    file = write(tmp_path / 'r.json', entries)
    code, printed, _ = score('coco', file, '--json')
    assert not code
    found = json.loads(printed)
    boxes = [{k: v for k, v in e.items() if k != 'segmentation'} for e in entries]
    masks = [{k: v for k, v in e.items() if k != 'bbox'} for e in entries]
    expected = oracle(truth, copy.deepcopy({'bbox': boxes, 'segm': masks}))
    assert {k: found['metrics'][k] for k in expected} == pytest.approx(expected, abs=1e-9)
    (stored,) = read_results(tmp_path / 'results')
    assert stored.result.protocol.tier == ELSEWHERE and stored.result.checkpoint is None
    units = load_units(stored.beside(stored.result.units))
    assert len(units) == len(truth.imgs)
    assert units.observed()['mask_mAP'] == pytest.approx(found['metrics']['mask_mAP'], abs=1e-9)


def test_images_without_prediction_are_counted_and_said(score, sets, tmp_path):
    truth = truth_of(sets)
    first = min(truth.imgs)
    entries = [e for e in results_of(truth) if e['image_id'] == first]
    code, _, said = score('detection', write(tmp_path / 'r.json', entries))
    assert not code
    assert f'{len(truth.imgs) - 1} of {len(truth.imgs)} images have no detection' in said


def test_uncompressed_runs_and_masks_alone_are_taken(score, sets, tmp_path):
    entries = results_of(truth_of(sets))
    code, printed, _ = score('detection', write(tmp_path / 'a.json', entries), '--json')
    whole = json.loads(printed)['metrics']
    for entry in entries:
        bits = rle.decode(entry['segmentation']).ravel(order='F')
        edges = np.flatnonzero(np.diff(bits, prepend=0, append=2))
        entry['segmentation']['counts'] = np.diff(edges, prepend=0).tolist()
        del entry['bbox']
    code, printed, _ = score('detection', write(tmp_path / 'b.json', entries), '--json', name='b')
    assert not code
    assert json.loads(printed)['metrics'] == {k: v for k, v in whole.items() if 'mask' in k}


def spoil(key, value):
    def change(entries):
        entries[3][key] = value

    return change


def spoil_mask(**values):
    def change(entries):
        entries[3]['segmentation'].update(values)

    return change


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (spoil('image_id', 987654), 'entry 3 is of image_id 987654'),
        (spoil('image_id', '1'), "entry 3 is of image_id '1'"),
        (spoil('category_id', 4711), 'entry 3 has category_id 4711'),
        (spoil('score', float('nan')), 'entry 3 has score nan'),
        (spoil('score', float('inf')), 'entry 3 has score inf'),
        (spoil('score', None), 'entry 3 has score None'),
        (spoil('bbox', [0, 0, 5]), 'entry 3 has bbox [0, 0, 5]'),
        (spoil('bbox', [0, 0, 5, float('nan')]), 'entry 3 has bbox'),
        (spoil('bbox', [0, 0, -5, 5]), 'below 0'),
        (spoil('segmentation', [[0, 0, 5, 0, 5, 5]]), 'entry 3 has no run-length'),
        (spoil_mask(size=[3, 4]), 'entry 3 has a mask of size [3, 4]'),
        (spoil_mask(counts='0'), 'entry 3 has a broken run-length encoding'),
        (spoil_mask(counts='zzzzzzzz'), 'entry 3 has a broken run-length encoding'),
        (spoil_mask(counts='é~'), 'entry 3 has a broken run-length encoding'),
        (spoil_mask(counts=[1, 2.5]), 'entry 3 has a broken run-length encoding'),
        (spoil_mask(counts=[10, -5]), 'entry 3 has a broken run-length encoding'),
        (spoil_mask(counts=[2**40]), 'entry 3 has a broken run-length encoding'),
        (list.clear, 'holds no detection'),
        (lambda entries: entries.insert(3, 5), 'entry 3 is no JSON object'),
        (lambda entries: [e.pop(k) for e in entries for k in ('bbox', 'segmentation')], 'neither'),
    ],
)
def test_what_cannot_be_meant_is_one_line(score, sets, tmp_path, change, said):
    entries = results_of(truth_of(sets))
    change(entries)
    code, printed, error = score('detection', write(tmp_path / 'r.json', entries))
    assert (code, printed) == (2, '')
    assert said in error and error.count('\n') == 1
    assert not (tmp_path / 'results').exists() or not any((tmp_path / 'results').iterdir())


def test_what_is_no_results_file(score, tmp_path):
    (tmp_path / 'r.json').write_text('{"images": []}')
    assert 'holds no JSON list' in score('detection', tmp_path / 'r.json')[2]
    (tmp_path / 'r.json').write_text('[')
    assert 'cannot be read as JSON' in score('detection', tmp_path / 'r.json')[2]
    assert 'is a folder' in score('detection', tmp_path)[2]
    assert 'are not there' in score('detection', tmp_path / 'none')[2]
    assert "no task that scores predictions 'pose'" in score('pose', tmp_path)[2]
    said = score('detection', tmp_path / 'r.json', '--protocol', 'ostrack')[2]
    assert 'detection is scored by one protocol; leave the option out' in said


@pytest.fixture
def maps(sets, tmp_path):
    """Label maps of the val split with a corner predicted as class 1 of the data set's numbers."""
    section = yaml.safe_load((sets / 'data.yaml').read_text())['segmentation']
    source = sets / section['root'] / 'annotations' / section.get('val', 'validation')
    folder = tmp_path / 'maps'
    folder.mkdir()
    for path in source.glob('*.png'):
        label = np.array(Image.open(path))
        label[label == 0] = 1
        label[:20, :20] = 1
        Image.fromarray(label).save(folder / path.name)
    return folder


def test_label_maps_score_as_mmseg_scores_them(score, sets, maps, tmp_path):
    import torch
    from mmseg.evaluation import IoUMetric

    code, printed, said = score('ade20k', maps, '--json')
    assert not code
    assert 'reduce_zero_label' in said
    section = yaml.safe_load((sets / 'data.yaml').read_text())['segmentation']
    assert section['reduce_zero_label']
    theirs = IoUMetric()
    theirs.dataset_meta = {'classes': section['classes']}
    source = sets / section['root'] / 'annotations' / section.get('val', 'validation')
    for path in sorted(source.glob('*.png')):
        label = np.array(Image.open(path)).astype(int) - 1
        own = np.array(Image.open(maps / path.name)).astype(int) - 1
        label[label == -1] = 255
        sample = {'pred_sem_seg': {'data': torch.tensor(own)[None]}}
        sample['gt_sem_seg'] = {'data': torch.tensor(label)[None]}
        theirs.process({}, [sample])
    expected = theirs.evaluate(len(theirs.results))
    found = json.loads(printed)['metrics']
    assert {k: found[k] for k in expected} == pytest.approx(expected, abs=0.00501)
    (stored,) = read_results(tmp_path / 'results')
    assert load_units(stored.beside(stored.result.units)).observed() == pytest.approx(found)


def test_wrong_label_maps_are_one_line(score, sets, maps):
    first, second = sorted(maps.glob('*.png'))[:2]
    label = np.array(Image.open(first))

    def said():
        code, printed, error = score('segmentation', maps)
        assert (code, printed) == (2, '')
        assert error.count('\n') == 1
        return error

    Image.fromarray(np.where(np.indices(label.shape).sum(0) == 50, 200, label)).convert('L').save(
        first
    )
    assert str(first) in (line := said()) and 'holds 200 at x ' in line
    Image.fromarray(np.zeros_like(label)).save(first)
    assert 'holds 0 at x ' in said()
    Image.fromarray(label[1:]).save(first)
    assert str(first) in (line := said()) and ' pixels, its label map ' in line
    Image.fromarray(np.stack([label] * 3, 2)).save(first)
    assert 'has 3 channels' in said()
    first.write_bytes(first.read_bytes()[:40])
    assert str(first) in (line := said()) and 'cannot be read' in line
    first.unlink()
    assert f'{first} is not there' in said()
    assert score('segmentation', second)[0] == 2  # no folder


def test_a_row_stands_in_the_report_and_beside_no_recipes(score, sets, tmp_path, monkeypatch):
    truth = truth_of(sets)
    for name in ('one', 'two'):
        entries = results_of(truth, seed=len(name) + ord(name[0]))
        assert not score('coco', write(tmp_path / f'{name}.json', entries), name=name)[0]
    again = write(tmp_path / 'again.json', results_of(truth, seed=9))
    assert not score('coco', again, '--seed', 1, name='one')[0]
    from downstream.report.read.groups import group_results

    results = read_results(tmp_path / 'results')
    assert len(results) == 3
    (group,) = group_results(results)
    assert [len(system.runs) for system in group.systems] == [2, 1]
    assert ELSEWHERE in group.protocol_text
    words = ['report', tmp_path / 'results', '--out', tmp_path / 'report', '--splits', 50, '--json']
    monkeypatch.setattr(sys, 'argv', ['mimbench', *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert 'made elsewhere' in Path(tmp_path / 'report/report.md').read_text()


def test_every_task_scores_predictions():
    assert all(task.score_predictions for task in tasks().values())
