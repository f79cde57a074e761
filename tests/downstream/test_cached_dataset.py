import shutil

import pytest
from mmengine.registry import init_default_scope

from downstream.cached_dataset import CachedDataset
from mim_backbones.errors import UserError

LOAD = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}]
PACK = [{'type': 'RandomFlip', 'prob': 0.5}, {'type': 'PackSegInputs'}]


@pytest.fixture
def root(world, tmp_path):
    shutil.copytree(world / 'ade' / 'ADEChallengeData2016', tmp_path / 'ade')
    return tmp_path / 'ade'


def label_maps(root, **options):
    import mmseg.datasets  # noqa: F401  registers BaseSegDataset

    init_default_scope('mmseg')
    inner = {
        'type': 'BaseSegDataset', 'data_root': str(root), 'reduce_zero_label': True,
        'metainfo': {'classes': ('a', 'b')}, 'pipeline': LOAD,
        'data_prefix': {'img_path': 'images/training', 'seg_map_path': 'annotations/training'},
    }  # fmt: skip
    return CachedDataset(inner, PACK, **options)


def test_later_visits_read_no_file_and_still_differ(root):
    data = label_maps(root)
    assert len(data) == 8
    assert data.metainfo['classes'] == ('a', 'b')
    first = data[0]['inputs'].numpy()
    shutil.rmtree(root)
    seen = [data[0]['inputs'].numpy() for _ in range(30)]
    flipped = first[..., ::-1]
    kinds = {bool((image == first).all()) for image in seen}
    assert kinds == {True, False}
    assert all((image == first).all() or (image == flipped).all() for image in seen)


def test_beyond_the_budget_files_are_read_again(root):
    data = label_maps(root, limit_mib=0)
    shape = data[1]['inputs'].shape
    assert data[1]['inputs'].shape == shape
    assert not data.samples


def test_an_unreadable_image_is_left_out(root, caplog):
    broken = sorted((root / 'images' / 'training').iterdir())[2]
    broken.write_bytes(broken.read_bytes()[:40])
    data = label_maps(root, skip_limit=0.2)
    path = data[2]['data_samples'].img_path
    assert path == data[3]['data_samples'].img_path  # its neighbour takes its place
    assert data.skipped == {2: str(broken)}


def test_too_many_unreadable_images_stop_the_run(root):
    broken = sorted((root / 'images' / 'training').iterdir())[2]
    broken.write_bytes(b'')
    with pytest.raises(UserError, match=f'1 of 8 .* more than 1%.*{broken.name}'):
        label_maps(root)[2]
