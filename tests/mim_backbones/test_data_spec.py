import pytest

from mim_backbones.data_spec import load_data_spec, require
from mim_backbones.errors import UserError

DETECTION = 'detection: {root: coco}\n'


@pytest.fixture
def coco(tmp_path):
    for folder in ('train2017', 'val2017', 'annotations'):
        (tmp_path / 'coco' / folder).mkdir(parents=True)
    for split in ('train2017', 'val2017'):
        (tmp_path / f'coco/annotations/instances_{split}.json').touch()
    return tmp_path


def write(folder, text):
    (folder / 'data.yaml').write_text(text)
    return folder / 'data.yaml'


def test_relative_roots_start_at_the_file_and_a_folder_will_do(coco) -> None:
    write(coco, DETECTION)
    spec = load_data_spec(coco)
    assert spec.detection.root == coco / 'coco'
    assert spec.segmentation is None
    with pytest.raises(UserError, match='names no segmentation data'):
        require(spec, 'segmentation')


def test_variables_and_their_defaults(coco, monkeypatch) -> None:
    path = write(coco, 'detection: {root: "${MIM_TEST_ROOT:-coco}"}\n')
    assert load_data_spec(path).detection.root == coco / 'coco'
    path = write(coco, 'detection: {root: "${MIM_TEST_ROOT}/coco"}\n')
    with pytest.raises(UserError, match='MIM_TEST_ROOT is not set'):
        load_data_spec(path)
    monkeypatch.setenv('MIM_TEST_ROOT', str(coco))
    assert load_data_spec(path).detection.root == coco / 'coco'


def test_label_convention(tmp_path) -> None:
    for split in ('training', 'validation'):
        (tmp_path / 'images' / split).mkdir(parents=True)
        (tmp_path / 'annotations' / split).mkdir(parents=True)
    path = write(tmp_path, 'segmentation: {root: ., classes: [sky, car], ignore_index: 11}\n')
    found = load_data_spec(path).segmentation
    assert found.classes == ('sky', 'car')
    assert found.ignore_index == 11
    assert not found.reduce_zero_label


@pytest.mark.parametrize(('text', 'message'), [
    ('detecton: {root: coco}', 'unknown .*detecton'),
    ('detection: {rot: coco}', 'unknown .*rot'),
    ('detection: {}', 'lacks .*root'),
    ('detection: coco', 'must be a mapping'),
    ('[1, 2]', 'must map'),
    ('a: [', 'is not YAML'),
    ('detection: {root: coconut}', 'coconut is not there; .* holds: coco, data.yaml'),
    ('detection: {root: coco, val_images: val}', 'coco/val is not there; .*holds: annotations'),
])  # fmt: skip
def test_mistakes_are_one_clear_line(coco, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        load_data_spec(write(coco, text))
    assert '\n' not in str(error.value)


def test_missing_file_points_to_synth(tmp_path) -> None:
    with pytest.raises(UserError, match='mimbench synth'):
        load_data_spec(tmp_path)
