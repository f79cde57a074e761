import io
from contextlib import redirect_stdout

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from downstream.detection.matching import match
from downstream.detection.metric import average_precision
from downstream.detection.units import IOU_THRESHOLDS, DetectionUnits, MatchTable
from downstream.results.result import load_units

SIDE = 64


def random_world(seed, images=12, categories=3, first_id=1):
    """Ground truth and detections of boxes and masks, with crowds, misses and stray detections."""
    rng = np.random.default_rng(seed)
    truth, found = [], {'bbox': [], 'segm': []}
    for image in range(1, images + 1):
        for _ in range(rng.integers(0, 6)):
            category = int(rng.integers(1, categories))  # the last category has no ground truth
            box = _random_box(rng)
            crowd = int(rng.random() < 0.2)
            truth.append(
                {
                    'id': len(truth) + first_id,
                    'image_id': image,
                    'category_id': category,
                    'bbox': box,
                    'area': box[2] * box[3],
                    'iscrowd': crowd,
                    'segmentation': _rectangle(box),
                }
            )
            for _ in range(rng.integers(0, 4)):
                _detect(found, rng, image, category, _shaken(rng, box))
        for _ in range(rng.integers(0, 4)):
            _detect(found, rng, image, int(rng.integers(1, categories + 1)), _random_box(rng))
    return _dataset(truth, range(1, images + 1), categories), found


def scored(coco, found, **chosen):
    matches = match(coco, found, **chosen)
    tables = {name: ranges['all'] for name, ranges in matches.tables.items()}
    return DetectionUnits(matches.names, matches.num_gt['all'], tables)


def _random_box(rng):
    x, y = rng.integers(0, SIDE - 20, 2)
    w, h = rng.integers(6, 20, 2)
    return [int(x), int(y), int(w), int(h)]


def _shaken(rng, box):
    shift = rng.integers(-2, 3, 4)
    x, y, w, h = np.maximum(np.array(box) + shift, [0, 0, 2, 2])
    return [int(x), int(y), int(w), int(h)]


def _rectangle(box, side=SIDE):
    x, y, w, h = box
    mask = np.zeros((side, side), np.uint8, order='F')
    mask[y : y + h, x : x + w] = 1
    return rle.encode(mask)


def _detect(found, rng, image, category, box):
    entry = {'image_id': image, 'category_id': category, 'score': float(rng.random())}
    found['bbox'].append({**entry, 'bbox': box})
    found['segm'].append({**entry, 'segmentation': _rectangle(box)})


def _dataset(truth, images, categories, side=SIDE):
    coco = COCO()
    coco.dataset = {
        'info': {},
        'images': [{'id': image, 'height': side, 'width': side} for image in images],
        'annotations': truth,
        'categories': [{'id': k, 'name': str(k)} for k in range(1, categories + 1)],
    }
    with redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def oracle(coco, found, wanted=('mAP', 'mAP_50')):
    """pycocotools' own AP, in percent."""
    places = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
    scores = {}
    for kind, name in (('bbox', 'box'), ('segm', 'mask')):
        with redirect_stdout(io.StringIO()):
            evaluator = COCOeval(coco, coco.loadRes([dict(e) for e in found[kind]]), kind)
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
        scores |= {f'{name}_{k}': 100 * evaluator.stats[places.index(k)] for k in wanted}
    return scores


def repeated(coco, found, weights):
    """The data set in which image i really occurs weights[i] times, copies side by side."""
    truth, copies = [], {kind: [] for kind in found}
    image = 0
    for source, weight in enumerate(weights, start=1):
        for _ in range(weight):
            image += 1
            for ann in coco.dataset['annotations']:
                if ann['image_id'] == source:
                    truth.append({**ann, 'id': len(truth) + 1, 'image_id': image})
            for kind, entries in found.items():
                copies[kind] += [
                    {**e, 'image_id': image} for e in entries if e['image_id'] == source
                ]
    return _dataset(truth, range(1, image + 1), len(coco.dataset['categories'])), copies


@pytest.mark.parametrize('seed', range(8))
def test_equals_pycocotools_with_every_image_once(seed):
    coco, found = random_world(seed)
    assert scored(coco, found).observed() == pytest.approx(oracle(coco, found), abs=1e-6)


@pytest.mark.parametrize('seed', range(8))
def test_equals_pycocotools_on_really_repeated_images(seed):
    coco, found = random_world(seed)
    units = scored(coco, found)
    weights = np.random.default_rng(seed).multinomial(len(units), [1 / len(units)] * len(units), 4)
    scores = units.score(weights)
    for r, row in enumerate(weights):
        expected = oracle(*repeated(coco, found, row))
        assert {name: values[r] for name, values in scores.items()} == pytest.approx(
            expected, abs=1e-6
        )


def enlarged(coco, found, factors=(1, 4, 8)):
    """Images 1, 4, 8 times as large in turn: small, medium and large objects."""
    truth = []
    for entry in [*coco.dataset['annotations'], *found['bbox'], *found['segm']]:
        factor = factors[entry['image_id'] % len(factors)]
        box = entry.get('bbox') or rle.toBbox(entry['segmentation']).tolist()
        box = [round(factor * side) for side in box]
        entry |= {'bbox': box} if 'bbox' in entry else {}
        if 'segmentation' in entry:
            entry['segmentation'] = _rectangle(box, SIDE * factor)
        if 'area' in entry:
            truth.append({**entry, 'area': box[2] * box[3]})
    return _dataset(truth, list(coco.imgs), len(coco.cats), SIDE * max(factors)), found


@pytest.mark.parametrize('seed', range(6))
def test_every_figure_of_the_metric_equals_pycocotools(seed):
    coco, found = enlarged(*random_world(seed, images=24))
    wanted = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
    ours = average_precision(match(coco, found))
    assert ours == pytest.approx(oracle(coco, found, wanted), abs=1e-6)
    assert len(set(ours.values())) >= 6


def test_equal_scores_keep_the_order_of_pycocotools():
    coco, found = random_world(3, images=30)
    for entry in found['bbox'] + found['segm']:
        entry['score'] = round(entry['score'], 1)
    assert scored(coco, found).observed() == pytest.approx(oracle(coco, found), abs=1e-6)


def test_more_than_100_detections_in_an_image_are_cut_as_in_pycocotools():
    coco, found = random_world(4, images=3)
    rng = np.random.default_rng(0)
    for _ in range(300):
        _detect(found, rng, 1, 1, _random_box(rng))
    assert scored(coco, found).observed() == pytest.approx(oracle(coco, found), abs=1e-6)


def test_annotation_id_0_counts_as_any_other():
    coco, found = random_world(5)
    from_zero, _ = random_world(5, first_id=0)
    expected = scored(coco, found).observed()
    assert scored(from_zero, found).observed() == expected


def test_hand_worked_average_precision():
    # One category, two images with one object each. By falling score: right in image 0, wrong in
    # image 1, right in image 1. Recall 1/2 at precision 1, recall 1 at precision 2/3: 51 of the 101
    # levels (0 to 0.50) get 1, the other 50 get 2/3.
    right = np.array([True, False, True])[:, None] & np.ones((1, len(IOU_THRESHOLDS)), bool)
    table = MatchTable(
        image=np.array([0, 1, 1]),
        category=np.zeros(3, int),
        score=np.array([0.9, 0.8, 0.7]),
        matched=right,
        ignored=np.zeros_like(right),
    )
    units = DetectionUnits(['a', 'b'], np.ones((2, 1)), {'box': table})
    assert units.observed()['box_mAP'] == pytest.approx(100 * (51 + 50 * 2 / 3) / 101)
    # Image 0 twice: recall 2/3 at precision 1 (67 levels), then 3/4.
    # Image 1 alone: wrong, then right: precision 1/2 everywhere. No image: nothing to score.
    scores = units.score(np.array([[2, 1], [0, 1], [0, 0]]))['box_mAP']
    assert scores[:2] == pytest.approx([100 * (67 + 34 * 3 / 4) / 101, 50.0])
    assert np.isnan(scores[2])


def test_no_detection_at_all_scores_0():
    coco, _ = random_world(6)
    scores = scored(coco, {'bbox': [], 'segm': []}).observed()
    assert scores == {'box_mAP': 0, 'box_mAP_50': 0, 'mask_mAP': 0, 'mask_mAP_50': 0}


def test_boxes_alone_and_a_chosen_part_of_the_data():
    coco, found = random_world(7)
    units = scored(coco, {'bbox': found['bbox']}, image_ids=[2, 5, 9], category_ids=[1])
    assert units.metrics == ('box_mAP', 'box_mAP_50')
    assert units.names == ('2', '5', '9')
    assert units.num_gt.shape == (3, 1)


def test_leaves_the_callers_detections_alone():
    coco, found = random_world(0)
    keys = set(found['bbox'][0])
    scored(coco, found)
    assert set(found['bbox'][0]) == keys


def test_prints_nothing(capsys):
    scored(*random_world(0))
    assert capsys.readouterr().out == ''


def test_wrong_input_is_refused():
    coco, found = random_world(0)
    with pytest.raises(ValueError, match='image 999'):
        scored(coco, {'bbox': [{**found['bbox'][0], 'image_id': 999}]})
    with pytest.raises(ValueError, match='keypoints'):
        scored(coco, {'keypoints': []})
    with pytest.raises(ValueError, match=r'expected \(resamples, 12\)'):
        scored(coco, found).score(np.ones(12))


def test_comes_back_from_its_file(tmp_path):
    units = scored(*random_world(1))
    again = load_units(units.save(tmp_path / 'x.units.npz'))
    assert again.names == units.names
    assert again.observed() == units.observed()
