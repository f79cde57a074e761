import pytest
import torch

from downstream.segmentation.metric import PixelIoU
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
