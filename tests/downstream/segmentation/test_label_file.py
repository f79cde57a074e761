"""Every label map a pipeline loads is looked at, and the file with a strange label is named."""

import numpy as np
import pytest
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from downstream.evaluation.protocols import recipes
from downstream.segmentation.data import SegmentationData
from downstream.segmentation.label_file import LoadLabels
from downstream.segmentation.task import fit_data, transforms
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config


def load(folder, label, reduce=False, label_map=None, classes=3, ignore=255):
    path = folder / 'label.png'
    Image.fromarray(label).save(path)
    found = {'seg_map_path': str(path), 'reduce_zero_label': reduce, 'label_map': label_map}
    return LoadLabels(classes, ignore).transform({**found, 'seg_fields': []}), found


@pytest.mark.parametrize('reduce', [False, True])
@pytest.mark.parametrize('label_map', [None, {0: 1, 1: 0, 2: 2}, {0: 255, 1: 0, 2: 1}])
def test_labels_are_mmsegs(tmp_path, reduce, label_map) -> None:
    label = np.random.default_rng(0).choice(np.array([0, 1, 2, 255], np.uint8), (13, 17))
    found, given = load(tmp_path, label, reduce, label_map)
    wanted = LoadAnnotations().transform({**given, 'seg_fields': []})
    assert found['gt_seg_map'].dtype == np.uint8
    assert np.array_equal(found['gt_seg_map'], wanted['gt_seg_map'])
    assert found['seg_fields'] == ['gt_seg_map']


@pytest.mark.parametrize(('value', 'reduce', 'ignore'), [
    (3, False, 255), (4, True, 255), (254, True, 255), (255, False, 11), (0, True, 11)
])  # fmt: skip
def test_a_strange_label_is_named_with_its_file(tmp_path, value, reduce, ignore) -> None:
    label = np.ones((8, 9), np.uint8)
    label[3, 4] = value
    with pytest.raises(UserError, match=rf'label\.png holds \[{value}\], which is no class of 3'):
        load(tmp_path, label, reduce, ignore=ignore)


def test_sixteen_bits_do_not_wrap(tmp_path) -> None:
    label = np.full((8, 9), 256, np.uint16)  # mmseg reads 0
    with pytest.raises(UserError, match=r'holds \[256\]'):
        load(tmp_path, label)
    found, _ = load(tmp_path, label, classes=300)
    assert (found['gt_seg_map'] == 256).all()


def test_what_is_no_label_map_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r'label\.png has 3 channels'):
        load(tmp_path, np.zeros((4, 4, 3), np.uint8))
    (tmp_path / 'broken.png').write_bytes(b'no picture')
    with pytest.raises(UserError, match=r'broken\.png cannot be read'):
        LoadLabels(3).transform({'seg_map_path': tmp_path / 'broken.png'})


@pytest.mark.parametrize(
    'path', [one.path for one in recipes().values() if one.protocol.task == 'segmentation'],
    ids=lambda path: path.stem)  # fmt: skip
def test_every_pipeline_looks_at_its_labels(path) -> None:
    cfg = read_config(path)
    loading = [one for one in transforms(cfg._cfg_dict) if 'Load' in one.type]
    assert not [one.type for one in loading if one.type == 'LoadAnnotations']
    labels = [one for one in loading if one.type == 'downstream.LoadLabels']
    assert len(labels) >= 3  # of training, validation, test
    assert {one.num_classes for one in labels} == {cfg.model.decode_head.num_classes}
    fit_data(cfg, SegmentationData(root=path.parent, classes=('a', 'b'), ignore_index=7))
    assert {(one.num_classes, one.ignore_index) for one in labels} == {(2, 7)}


def test_a_mistake_found_by_a_loaders_process_is_one_line(tmp_path) -> None:
    from mmengine.dataset import BaseDataset
    from torch.utils.data import DataLoader

    Image.fromarray(np.full((8, 9), 9, np.uint8)).save(tmp_path / 'label.png')
    rows = [{'seg_map_path': str(tmp_path / 'label.png')}]

    class Files(BaseDataset):
        def load_data_list(self):
            return rows

    loader = DataLoader(Files(pipeline=[LoadLabels(3)], serialize_data=False), num_workers=1)
    with pytest.raises(UserError) as found:
        list(loader)
    assert str(found.value) == (
        f'label map {tmp_path}/label.png holds [9], which is no class of 3; check classes, '
        'ignore_index and reduce_zero_label of the data file'
    )
