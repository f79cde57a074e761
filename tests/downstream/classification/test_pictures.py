"""Samples of a split: what is in them, and what becomes of files that cannot be decoded."""

import logging

import pytest
import torch
from mmengine.logging import MMLogger

from downstream.classification.pictures import LabelledPictures
from mim_backbones.errors import UserError

VIEW = {'type': 'CentreView', 'img_size': 32}


def test_a_sample(folders) -> None:
    root = folders(train={'cat': 1, 'dog': 2}, val={'dog': 1})
    dataset = LabelledPictures(str(root), 'val', VIEW)
    assert len(dataset) == 1
    sample = dataset[0]
    assert sample['inputs'].shape == (3, 32, 32) and sample['inputs'].dtype == torch.uint8
    assert (sample['label'], sample['name'], sample['held']) == (1, 'val/dog/0.JPEG', False)


def test_a_broken_training_picture_is_named_and_replaced_by_the_next(folders, caplog) -> None:
    root = folders(train={'cat': 4}, val={'cat': 1})
    broken = root / 'train/cat/1.JPEG'
    broken.write_bytes(broken.read_bytes()[:300])
    dataset = LabelledPictures(str(root), 'train', VIEW)
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        assert dataset[1]['name'] == 'train/cat/2.JPEG'
        assert dataset[1]['name'] == 'train/cat/2.JPEG'
    logger.removeHandler(caplog.handler)
    (said,) = [record.message for record in caplog.records if 'skipped' in record.message]
    assert said.startswith(f'skipped {broken}: it cannot be decoded (')
    assert dataset.skipped == {1: str(broken)}


def test_too_many_broken_ones_stop_and_a_broken_test_picture_does(folders) -> None:
    root = folders(train={'cat': 4}, val={'cat': 1})
    for file in ('train/cat/1.JPEG', 'train/cat/2.JPEG', 'val/cat/0.JPEG'):
        (root / file).write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0')
    with pytest.raises(UserError, match=r'2 of 4 training pictures .* the last is .*2\.JPEG'):
        LabelledPictures(str(root), 'train', VIEW)[1]
    with pytest.raises(UserError, match=r'val/cat/0\.JPEG cannot be decoded'):
        LabelledPictures(str(root), 'val', VIEW)[0]


def test_a_missing_root_says_how_to_give_it(tmp_path) -> None:
    with pytest.raises(UserError, match=r'--data DATA\.yaml'):
        LabelledPictures(str(tmp_path / 'none'), 'train', VIEW)
