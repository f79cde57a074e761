import numpy as np
import pytest
import torch

from downstream.segmentation import metric
from downstream.segmentation.metric import PixelIoU, pixel_counts
from mim_backbones.errors import UserError

CLASSES = ('sky', 'road', 'car')


def sample(name, prediction, label):
    return {
        'img_path': f'{name}.jpg', 'seg_map_path': f'{name}.png',
        'pred_sem_seg': {'data': torch.tensor([prediction])},
        'gt_sem_seg': {'data': torch.tensor([label])},
    }  # fmt: skip


def run(samples, ignore_index=11):
    metric = PixelIoU(ignore_index=ignore_index)
    metric.dataset_meta = {'classes': CLASSES}
    metric.process({}, samples)
    return metric, metric.evaluate(len(samples))


def test_iou_by_hand_and_void_counts_nowhere():
    # Pixels agreeing, of those predicted or labelled so: sky 2 of 3, road 1 of 2, car 1 of 1.
    metric, found = run(
        [
            sample('a', [[0, 0, 0, 1]], [[0, 0, 1, 11]]),
            sample('b', [[1, 2, 2, 2]], [[1, 2, 11, 11]]),
        ]
    )
    assert found['mIoU'] == pytest.approx(100 * (2 / 3 + 1 / 2 + 1) / 3)
    assert found['aAcc'] == pytest.approx(100 * 4 / 5)
    assert found['mAcc'] == pytest.approx(100 * (1 + 1 / 2 + 1) / 3)
    assert metric.units.names == ('a', 'b')
    assert metric.units.observed() == pytest.approx(found)


def test_equals_mmsegs_metric():
    from mmseg.evaluation import IoUMetric

    torch.manual_seed(0)
    samples = []
    for name in 'abc':
        label = torch.randint(0, 4, (16, 16))
        label[label == 3] = 255
        samples.append(sample(name, torch.randint(0, 3, (16, 16)).tolist(), label.tolist()))
    _, found = run(samples, ignore_index=255)
    theirs = IoUMetric()
    theirs.dataset_meta = {'classes': CLASSES}
    theirs.process({}, samples)
    expected = theirs.evaluate(len(samples))
    for name in ('mIoU', 'mAcc', 'aAcc'):
        assert found[name] == pytest.approx(expected[name], abs=0.00501)  # mmseg rounds


def test_a_label_that_is_no_class_names_the_file():
    with pytest.raises(UserError, match=r'bad\.png'):
        run([sample('bad', [[0, 1]], [[0, 7]])])


# ------------------------------------------------ the joint histogram


def loop_over_classes(prediction, label, num_classes, ignore_index):
    valid = label != ignore_index
    return [
        [np.sum(valid & (prediction == c) & (label == c)) for c in range(num_classes)],
        [np.sum(valid & (prediction == c)) for c in range(num_classes)],
        [np.sum(valid & (label == c)) for c in range(num_classes)],
    ]


@pytest.mark.parametrize(
    ('dtype', 'ignore_index'),
    [(np.uint8, 255), (np.uint8, 0), (np.int64, 255), (np.int64, 0), (np.int64, -1),
     (np.int32, -100), (np.uint16, 65535)],
)  # fmt: skip
def test_equals_a_loop_over_the_classes(dtype, ignore_index):
    rng = np.random.default_rng(0)
    prediction = rng.integers(0, 19, (2, 33, 47)).astype(dtype)
    label = rng.integers(0, 19, (2, 33, 47)).astype(dtype)
    label[0, :9] = ignore_index
    expected = loop_over_classes(prediction, label, 19, ignore_index)
    np.testing.assert_array_equal(pixel_counts(prediction, label, 19, ignore_index), expected)
    tensors = torch.from_numpy(prediction), torch.from_numpy(label)
    np.testing.assert_array_equal(pixel_counts(*tensors, 19, ignore_index), expected)


def test_the_gpu_path_counts_the_same():
    rng = np.random.default_rng(1)
    prediction, label = rng.integers(0, 5, (2, 40, 40))
    label[:4] = 255
    bins = metric._count_numpy(prediction, label, 5, 0, 256)
    same = metric._count_torch(torch.from_numpy(prediction), torch.from_numpy(label), 5, 0, 256)
    np.testing.assert_array_equal(bins, same)


def test_uint8_does_not_overflow():
    # class 149 of 150: the pair's number is 22499, far above 255
    prediction = label = np.full((4, 4), 149, np.uint8)
    counts = pixel_counts(prediction, label, 150, 255)
    assert counts.intersect[149] == counts.predicted[149] == counts.labelled[149] == 16


def test_inputs_stay_as_they_are():
    label = np.array([[0, 255]], np.int32)
    pixel_counts(np.zeros((1, 2), np.int32), label, 2, 255)
    assert label.tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ('prediction', 'label', 'message'),
    [
        ([[0, 1]], [[0, 3]], 'a label is not in 0..2'),
        ([[0, 1]], [[0, -1]], 'a label is not in 0..2'),
        ([[0, 1]], [[0, -2]], 'a label is not in 0..2'),
        ([[0, 3]], [[0, 1]], 'a predicted class is not in 0..2'),
        ([[0, -1]], [[0, 1]], 'a predicted class is not in 0..2'),
        ([[0, 1]], [[0], [1]], 'resize the prediction'),
    ],
)
def test_what_is_no_class_is_refused(prediction, label, message):
    with pytest.raises(ValueError, match=message):
        pixel_counts(np.array(prediction), np.array(label), 3, 255)
