import json
import pickle

import numpy as np
import pytest
import torch
from pycocotools import mask as rle
from pycocotools.cocoeval import COCOeval

from downstream.detection.metric import InstanceAP, encode_masks
from mim_backbones.errors import UserError

SIZE = 64
CLASSES = ('cat', 'dog', 'owl')


def blob(rng):
    """A random ellipse inside a SIZE x SIZE picture: bool mask and corner box."""
    centre, radius = rng.uniform(16, 48, 2), rng.uniform(5, 14, 2)
    grid = np.mgrid[:SIZE, :SIZE]
    mask = (((grid - centre[:, None, None]) / radius[:, None, None]) ** 2).sum(0) < 1
    rows, columns = np.where(mask.any(1))[0], np.where(mask.any(0))[0]
    return mask, np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)


@pytest.fixture
def truth(tmp_path):
    """Six images; ids with gaps, categories numbered 7, 3, 20, one image without annotation."""
    rng = np.random.default_rng(0)
    images, annotations, kept = [], [], {}
    for image_id in (3, 4, 11, 12, 40, 41):
        images.append(
            {'id': image_id, 'file_name': f'{image_id}.jpg', 'width': SIZE, 'height': SIZE}
        )
        kept[image_id] = []
        for _ in range(0 if image_id == 12 else int(rng.integers(1, 5))):
            mask, box = blob(rng)
            category = int(rng.choice([7, 3, 20]))
            kept[image_id].append((mask, box, category))
            encoded = encode_masks(mask[None])[0]
            encoded['counts'] = encoded['counts'].decode()
            annotations.append(
                {
                    'id': 5 * len(annotations) + 1, 'image_id': image_id, 'category_id': category,
                    'bbox': [*box[:2], *(box[2:] - box[:2])], 'segmentation': encoded,
                    'area': int(mask.sum()), 'iscrowd': 0,
                }
            )  # fmt: skip
    categories = [{'id': i, 'name': n} for i, n in zip((7, 3, 20), CLASSES)]
    path = tmp_path / 'instances.json'
    path.write_text(
        json.dumps({'images': images, 'annotations': annotations, 'categories': categories})
    )
    return path, kept


def noisy_predictions(kept):
    """Shifted truths, doubles and inventions, as mmdet hands them to a metric."""
    rng = np.random.default_rng(1)
    label_of = {7: 0, 3: 1, 20: 2}
    samples = []
    for image_id, instances in kept.items():
        boxes, masks, labels, scores = [], [], [], []
        for mask, box, category in instances:
            for _ in range(2):
                shift = rng.integers(-3, 4, 2)
                masks.append(np.roll(mask, shift, (0, 1)))
                boxes.append(box + np.tile(shift[::-1], 2))
                labels.append(label_of[category] if rng.random() < 0.8 else rng.integers(3))
                scores.append(rng.random())
        mask, box = blob(rng)
        masks, boxes = [*masks, mask], [*boxes, box]
        labels, scores = [*labels, 1], [*scores, rng.random()]
        samples.append(
            {
                'img_id': image_id, 'ori_shape': (SIZE, SIZE),
                'pred_instances': {
                    'bboxes': torch.tensor(np.array(boxes), dtype=torch.float32),
                    'labels': torch.tensor(np.array(labels)),
                    'scores': torch.tensor(scores),
                    'masks': torch.tensor(np.array(masks)),
                },
            }
        )  # fmt: skip
    return samples


def run(metric, samples):
    metric.dataset_meta = {'classes': CLASSES}
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def box_entries(samples, category_ids):
    """Boxes as COCO result entries."""
    return [
        {
            'image_id': sample['img_id'], 'category_id': category_ids[label], 'score': score,
            'bbox': [left, top, right - left, bottom - top],
        }
        for sample in samples
        for (left, top, right, bottom), label, score in zip(
            *(sample['pred_instances'][key].tolist() for key in ('bboxes', 'labels', 'scores'))
        )
    ]  # fmt: skip


def test_ap_equals_mmdets_and_the_units(truth):
    from mmdet.evaluation import CocoMetric

    path, kept = truth
    samples = noisy_predictions(kept)
    ours = InstanceAP(str(path))
    found = run(ours, samples)
    theirs = run(CocoMetric(str(path), metric=['bbox', 'segm']), samples)
    for kind, name in (('bbox', 'box'), ('segm', 'mask')):
        for key in ('mAP', 'mAP_50', 'mAP_75', 'mAP_s'):
            # mmdet rounds to three places, as fractions.
            expected = theirs[f'coco/{kind}_{key}']
            assert found[f'{name}_{key}'] == pytest.approx(100 * expected, abs=0.0501)
    assert 5 < found['box_mAP'] < 95
    for name, value in ours.units.observed().items():
        assert value == pytest.approx(found[name], abs=1e-9)


def test_annotation_id_0_counts_in_ap_and_in_its_units(truth, tmp_path, capsys):
    """pycocotools takes a match with annotation 0 for none; an id has no say in a score."""
    path, kept = truth
    content = json.loads(path.read_text())
    found = {}
    for first in (0, 1):
        for number, annotation in enumerate(content['annotations'], first):
            annotation['id'] = number
        file = tmp_path / f'from_{first}.json'
        file.write_text(json.dumps(content))
        samples = noisy_predictions(kept)
        metric = InstanceAP(str(file))
        found[first] = run(metric, samples)
        assert metric.units.observed() == pytest.approx(
            {name: found[first][name] for name in metric.units.metrics}, abs=1e-9
        )
        entries = box_entries(samples, (7, 3, 20))
        evaluator = COCOeval(metric.truth, metric.truth.loadRes(entries), 'bbox')
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
        lost = found[first]['box_mAP'] - 100 * evaluator.stats[0]
        assert lost == pytest.approx(0, abs=1e-6) if first else lost > 0.1
    assert found[0] == found[1]


def test_perfect_predictions_score_100(truth):
    path, kept = truth
    label_of = {7: 0, 3: 1, 20: 2}
    samples = [
        {
            'img_id': image_id, 'ori_shape': (SIZE, SIZE),
            'pred_instances': {
                'bboxes': torch.tensor(np.array([b for _, b, _ in each]).reshape(-1, 4)),
                'labels': torch.tensor([label_of[c] for _, _, c in each]),
                'scores': torch.ones(len(each)),
                'masks': torch.tensor(np.array([m for m, _, _ in each]).reshape(-1, SIZE, SIZE)),
            },
        }
        for image_id, each in kept.items()
    ]  # fmt: skip
    found = run(InstanceAP(str(path)), samples)
    assert found['box_mAP'] == pytest.approx(100)
    assert found['mask_mAP'] == pytest.approx(100)
    assert 'mask_mAP_l' not in found  # nothing is large here: there is no such number


def test_no_prediction_scores_0(truth):
    path, kept = truth
    empty = {'bboxes': torch.zeros(0, 4), 'labels': torch.zeros(0).long(),
             'scores': torch.zeros(0), 'masks': torch.zeros(0, SIZE, SIZE).bool()}  # fmt: skip
    samples = [{'img_id': i, 'ori_shape': (SIZE, SIZE), 'pred_instances': empty} for i in kept]
    metric = InstanceAP(str(path))
    found = run(metric, samples)
    assert found['box_mAP'] == found['mask_mAP'] == 0
    assert metric.units.observed()['mask_mAP'] == 0


def test_masks_survive_their_encoding():
    rng = np.random.default_rng(3)
    masks = np.stack([blob(rng)[0] for _ in range(4)])
    decoded = [rle.decode(one) for one in encode_masks(torch.tensor(masks))]
    np.testing.assert_array_equal(np.stack(decoded), masks)


def test_truth_without_annotations_is_refused(tmp_path):
    path = tmp_path / 'empty.json'
    path.write_text(json.dumps({'images': [], 'annotations': [], 'categories': []}))
    with pytest.raises(UserError, match='no annotation'):
        InstanceAP(str(path))


def test_masks_may_come_encoded(truth):
    path, kept = truth
    samples = noisy_predictions(kept)
    found = run(InstanceAP(str(path)), samples)
    for sample in samples:
        instances = sample['pred_instances']
        instances['masks'] = encode_masks(instances['masks'])
    assert run(InstanceAP(str(path)), samples) == found


def test_a_class_that_the_file_lacks_is_not_scored(truth):
    """The val split of a data set need not have every category of its training split."""
    path, kept = truth
    samples = noisy_predictions(kept)
    found = run(InstanceAP(str(path)), samples)
    for sample in samples:
        instances = sample['pred_instances']
        instances['labels'] = instances['labels'].clone()
        more = {key: torch.cat([value, value[:1]]) for key, value in instances.items()}
        more['labels'][-1], more['scores'][-1] = 3, 1.0
        sample['pred_instances'] = more
    assert run(InstanceAP(str(path), classes=(*CLASSES, 'yak')), samples) == found


def test_what_is_kept_of_an_image_is_small(truth):
    """No mask, however large: a few numbers for each detection."""
    path, kept = truth
    metric = InstanceAP(str(path))
    metric.dataset_meta = {'classes': CLASSES}
    metric.process({}, noisy_predictions(kept))
    detections = sum(len(record.score) for _, record in metric.results)
    assert len(pickle.dumps(metric.results)) < 200 * detections + 1000 * len(metric.results)
