import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from downstream.task import tasks
from mim_backbones.console.recipes import recipes_root
from mim_backbones.data_spec import DataSpec, PretrainData, class_list, load_data_spec, require
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
    assert spec['detection'].root == coco / 'coco'
    assert list(spec) == ['detection']
    with pytest.raises(UserError, match='names no segmentation data'):
        require(spec, 'segmentation')


def test_variables_and_their_defaults(coco, monkeypatch) -> None:
    path = write(coco, 'detection: {root: "${MIM_TEST_ROOT:-coco}"}\n')
    assert load_data_spec(path)['detection'].root == coco / 'coco'
    path = write(coco, 'detection: {root: "${MIM_TEST_ROOT}/coco"}\n')
    with pytest.raises(UserError, match='MIM_TEST_ROOT is not set'):
        require(load_data_spec(path), 'detection')
    monkeypatch.setenv('MIM_TEST_ROOT', str(coco))
    assert load_data_spec(path)['detection'].root == coco / 'coco'


def test_label_convention(tmp_path) -> None:
    for split in ('training', 'validation'):
        (tmp_path / 'images' / split).mkdir(parents=True)
        (tmp_path / 'annotations' / split).mkdir(parents=True)
    path = write(tmp_path, 'segmentation: {root: ., classes: [sky, car], ignore_index: 11}\n')
    found = load_data_spec(path)['segmentation']
    assert found.classes == ('sky', 'car')
    assert found.ignore_index == 11
    assert not found.reduce_zero_label


@pytest.mark.parametrize(('text', 'message'), [
    ('detecton: {root: coco}', "no installed task is called 'detecton'; known: pretrain"),
    ('detection: {rot: coco}', 'unknown .*rot'),
    ('detection: {}', 'lacks .*root'),
    ('detection: coco', 'must be a mapping'),
    ('detection:', 'must be a mapping'),
    ('[1, 2]', 'must map'),
    ('!!python/object/apply:os.system ["touch ran"]', 'is not YAML: could not determine a constr'),
    ('detection: !!python/name:os.system', 'is not YAML: could not determine a constructor'),
    ('detection: {root: !!python/object/new:os.system ["touch ran"]}', 'is not YAML'),
    ('x: ' + '[' * 5000, 'is not YAML'),
    ('a: [', 'is not YAML'),
    ('detection: {root: coconut}', 'coconut is not there; .* holds: coco, data.yaml'),
    ('detection: {root: true}', 'root must be a path, not True'),
    ('detection: {root: coco, val_images: 2017}', 'val_images must be a text, not 2017'),
    ('segmentation: {root: coco, classes: [a], reduce_zero_label: "no"}',
     "reduce_zero_label must be true or false, without quotes, not 'no'"),
    ('segmentation: {root: coco, classes: [a], ignore_index: true}', 'must be an integer'),
    ('segmentation: {root: coco, classes: {a: 1}}', 'classes must be a list'),
    ('detection: {root: gone/coconut}', 'gone/coconut is not there; .* holds: coco, data.yaml'),
    ('detection: {root: coco, val_images: val}', 'coco/val is not there; .*holds: annotations'),
])  # fmt: skip
def test_mistakes_are_one_clear_line(coco, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        require(load_data_spec(write(coco, text)), text.split(':')[0])
    assert '\n' not in str(error.value)
    assert not Path('ran').exists()


def test_a_yaml_that_unfolds_without_end_is_refused_at_once(coco) -> None:
    """Ten lists of ten of the one before: 10**10 words, if anybody wrote them out."""
    lines = ['a0: &a0 [lol]'] + [
        f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 10)}]' for n in range(1, 11)
    ]
    for last in ('detection: {root: *a10}', 'segmentation: {root: coco, classes: *a10}'):
        inner = ''.join(f'  {line}\n' for line in lines)
        text = f'pretrain:\n{inner}{last}\n'
        name = last.partition(':')[0]
        with contextlib.suppress(UserError):
            require(load_data_spec(write(coco, text)), name)
        with pytest.raises(UserError, match='has unknown') as error:
            require(load_data_spec(write(coco, text)), 'pretrain')
        assert len(str(error.value)) < 1000


def test_what_nobody_asks_for_may_be_missing(coco) -> None:
    path = write(coco, DETECTION + 'tracking: {root: lasot}\npretrain: {root: "${GONE}/images"}\n')
    spec = load_data_spec(path)
    assert spec['detection'].root == coco / 'coco'
    with pytest.raises(UserError, match=r'tracking data .*lasot is not there; .* holds: coco'):
        require(spec, 'tracking')


def test_missing_file_points_to_synth(tmp_path) -> None:
    with pytest.raises(UserError, match='mimbench synth'):
        load_data_spec(tmp_path)


def test_a_section_may_be_given_as_it_is(tmp_path) -> None:
    section = PretrainData(tmp_path)
    assert DataSpec(tmp_path, {'pretrain': section})['pretrain'] is section


@pytest.mark.parametrize(('name', 'count', 'first'), [
    ('ade20k', 150, 'wall'), ('cityscapes', 19, 'road'), ('coco', 80, 'person'),
])  # fmt: skip
def test_class_lists_by_name(name: str, count: int, first: str) -> None:
    found = class_list(name)
    assert (len(found), found[0]) == (count, first)


def test_looking_a_class_list_up_says_nothing_on_stdout() -> None:
    code = "from mim_backbones.data_spec import class_list; class_list('ade20k')"
    done = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True)
    assert done.stdout == ''  # where `--json` writes


def test_an_unknown_class_list_names_the_known_ones(tmp_path) -> None:
    path = write(tmp_path, 'segmentation: {root: ., classes: ade21k}\n')
    with pytest.raises(UserError, match=r"'ade21k'.*one of: .*ade20k, .*cityscapes"):
        require(load_data_spec(path), 'segmentation')


def test_reading_a_yaml_loads_no_heavy_package(coco) -> None:
    write(coco, DETECTION)
    code = (
        'import sys\n'
        'from mim_backbones.data_spec import load_data_spec\n'
        f'load_data_spec({str(coco)!r})["detection"]\n'
        'print([n for n in ("torch", "mmengine", "mmseg", "mmdet") if n in sys.modules])'
    )
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == '[]'


@pytest.mark.parametrize('name', ['pretrain', *tasks()])
def test_the_standard_yaml_serves_those_who_have_some_of_it(name, tmp_path, monkeypatch) -> None:
    standard = recipes_root() / 'data' / 'standard.yaml'
    monkeypatch.setenv('MIMBENCH_DATA', str(tmp_path))
    if name not in yaml.safe_load(standard.read_text()):
        pytest.skip('no usual data set')
    with pytest.raises(UserError, match=f'{name} data .* is not there') as error:
        require(load_data_spec(standard), name)
    for _ in range(20):  # make what it asks for, one after the other
        missing = Path(str(error.value).split('): ')[1].split(' is not there')[0])
        folder = missing.parent if missing.suffix else missing
        folder.mkdir(parents=True, exist_ok=True)
        missing.touch()
        try:
            section = require(load_data_spec(standard), name)
            break
        except UserError as again:
            error.value.args = again.args
    assert section.root.is_relative_to(tmp_path)
