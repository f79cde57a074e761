import numpy as np
import pytest

from downstream.results.result import load_units
from downstream.segmentation.units import SegmentationUnits
from downstream.tracking.units import TrackingUnits
from mim_backbones.errors import UserError


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r'gone\.npz: units file not found'):
        load_units(tmp_path / 'gone.npz')


@pytest.mark.parametrize('content', [b'', b'not a zip', b'PK\x03\x04 cut off'])
def test_a_broken_file_is_named(tmp_path, content):
    path = tmp_path / 'broken.npz'
    path.write_bytes(content)
    with pytest.raises(UserError, match=r'broken\.npz: not a units file'):
        load_units(path)


def test_a_file_of_something_else_is_named(tmp_path):
    path = tmp_path / 'other.npz'
    np.savez(path, numbers=np.arange(3))
    with pytest.raises(UserError, match=r'other\.npz: not a units file'):
        load_units(path)
    np.savez(path, kind=np.array('depth'), names=np.array(['a']))
    with pytest.raises(UserError, match="unknown kind of units 'depth'"):
        load_units(path)
    np.savez(path, kind=np.array('segmentation'), names=np.array(['a']))
    with pytest.raises(UserError, match='intersect'):
        load_units(path)


def test_a_class_reads_only_its_own_kind(tmp_path):
    counts = np.ones((1, 2))
    path = SegmentationUnits(['a'], counts, counts, counts).save(tmp_path / 'x.npz')
    assert SegmentationUnits.load(path).names == ('a',)
    with pytest.raises(UserError, match='holds segmentation units, expected tracking'):
        TrackingUnits.load(path)
