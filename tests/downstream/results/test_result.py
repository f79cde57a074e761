import json

import numpy as np
import pytest

from downstream.results.result import (
    Checkpoint,
    Protocol,
    Result,
    load_units,
    read_result,
    read_results,
    write_result,
)
from downstream.segmentation.units import SegmentationUnits
from mim_backbones.errors import UserError

COUNTS = np.ones((2, 3), int)


def result(**changes):
    fields = {
        'name': 'SimMIM (ours)',
        'checkpoint': Checkpoint('work/simmim.pth', 'abcdef0123456789'),
        'method': 'SimMIM',
        'architecture': 'ViT-Ti/16',
        'task': 'segmentation',
        'protocol': Protocol('upernet', '1', 'segmentation', 'smoke'),
        'metrics': {'mIoU': 41.25, 'mAcc': 50.0},
        'primary': 'mIoU',
        'seed': 0,
        'cost': {'seconds': 12.5},
        'versions': {'torch': '2.13.0'},
        'data': {'name': 'synthetic', 'fingerprint': '77'},
        'config_sha256': 'ff00',
        'protocol_sha256': 'ff01',
        'backbone_sha256': 'ff02',
    }
    return Result(**{**fields, **changes})


def test_comes_back_as_written(tmp_path):
    units = SegmentationUnits(['a', 'b'], COUNTS, COUNTS, COUNTS)
    path = write_result(tmp_path, result(), units, {'sample.png': b'picture'})
    assert path.name == 'SimMIM-ours.abcdef01.segmentation.upernet-v1.e7bd0ae1.seed0.json'
    stored = read_result(path)
    assert stored.result.pictures == (f'{path.stem}.sample.png',)
    assert stored.beside(stored.result.pictures[0]).read_bytes() == b'picture'
    assert load_units(stored.beside(stored.result.units)).names == ('a', 'b')
    assert stored.result == result(units=stored.result.units, pictures=stored.result.pictures)


def test_random_init_has_no_checkpoint(tmp_path):
    path = write_result(tmp_path, result(name='random init', checkpoint=None, seed=3))
    assert path.name == 'random-init.none.segmentation.upernet-v1.e7bd0ae1.seed3.json'
    assert read_result(path).result.checkpoint is None


def test_results_of_other_data_or_options_lie_beside_one_another(tmp_path):
    other_data = {'name': 'synthetic', 'fingerprint': '78'}
    paths = {
        write_result(tmp_path, one)
        for one in (result(), result(data=other_data), result(config_sha256='ff03'))
    }
    assert len(paths) == len(read_results(tmp_path)) == 3


def test_what_was_changed_stands_beside_the_name_of_the_protocol():
    assert result().protocol_text == 'upernet v1 (smoke)'
    changed = result(changes={'train_cfg.max_iters': 1, 'model.x': 'a'})
    assert changed.protocol_text == (
        'upernet v1 (smoke), changed: train_cfg.max_iters=1, model.x=a'
    )


def test_a_folder_is_read_by_file_name(tmp_path):
    for seed in (1, 0):
        write_result(tmp_path, result(seed=seed))
    assert [stored.result.seed for stored in read_results(tmp_path)] == [0, 1]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'name': ''}, 'name must be'),
        ({'task': 'depth'}, "task is 'depth', its protocol is of 'segmentation'"),
        ({'protocol_sha256': ''}, 'protocol_sha256 must be'),
        ({'backbone_sha256': ''}, 'backbone_sha256 must be'),
        ({'protocol': Protocol('upernet', '1', 'segmentation', 'tiny')}, "tier is 'tiny'"),
        ({'primary': 'AUC'}, "primary is 'AUC'"),
        ({'metrics': {'mIoU': float('nan')}}, r'metrics\.mIoU is nan'),
        ({'cost': {'seconds': 'long'}}, r"cost\.seconds is 'long'"),
        ({'seed': 'first'}, "seed is 'first'"),
        ({'data': {'name': 'x'}}, 'name and fingerprint'),
        ({'units': '../x.npz'}, 'plain file name'),
        ({'schema': 1}, 'schema is 1'),
    ],
)
def test_what_is_no_result_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        result(**changes)


def test_errors_name_the_file(tmp_path):
    path = write_result(tmp_path, result())
    content = json.loads(path.read_text())

    for changes, message in (
        ({'colour': 'red'}, 'unknown: colour'),
        ({'metrics': []}, 'metrics must be an object'),
        ({'protocol': {'name': 'x'}}, 'missing'),
        ({'schema': 1}, 'schema is 1, this mimbench reads 2'),
        ({'changes': 'none'}, 'changes must be an object'),
        ({'units': 'gone.npz'}, 'names gone.npz, which is not beside it'),
    ):
        path.write_text(json.dumps({**content, **changes}))
        with pytest.raises(UserError, match=message) as error:
            read_result(path)
        assert str(error.value).startswith(str(path))
    path.write_text('{"name": "cut o')
    with pytest.raises(UserError, match='not JSON'):
        read_result(path)
    del content['seed']
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match='missing: seed'):
        read_result(path)
    path.write_text('[]')
    with pytest.raises(UserError, match='expected an object'):
        read_result(path)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(UserError, match='no such folder'):
        read_results(tmp_path / 'gone')
    with pytest.raises(UserError, match=r'no result \(\*\.json\) in it'):
        read_results(tmp_path)
