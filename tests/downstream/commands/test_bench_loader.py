"""`mimbench bench loader` on the tiny world."""

import json

import pytest
from click.testing import CliRunner

from mim_backbones.commands.bench import bench
from mim_backbones.errors import UserError

QUICK = ['loader', '--task', 'detection', '--size', '256', '--images', '8', '--repeats', '2']


def run(*words):
    return CliRunner().invoke(bench, [*QUICK, *map(str, words)])


@pytest.mark.parametrize('given', ['data.yaml', 'coco'])
def test_figures_and_what_agrees(world, given):
    result = run('--data', world / given, '--json')
    assert result.exit_code == 0, (result.output, result.exception)
    (row,) = json.loads(result.stdout)['rows']
    assert (row['size'], row['images']) == (256, 8)
    for name in ('ours', 'mmdet'):
        stages = row[name]['milliseconds']
        assert list(stages) == ['decode', 'annotations', 'transform']
        assert row[name]['images_per_second'] == pytest.approx(1e3 / sum(stages.values()), rel=0.2)
    low, middle, high = row['ratio']
    assert 0 < low <= middle <= high
    same, stock = row['polygons'], row['bitmaps']
    assert same['objects'] > 0 and same['alone'] == {'ours': 0, 'mmdet': 0}
    assert max(same['box_pixels']) < 1e-3
    assert min(same['mask_iou']) > 0.999
    assert stock['mask_iou'][0] > 0.8


def test_a_table(world):
    result = run('--data', world)
    assert 'times as many images' in result.output
    assert result.output.count("mmdet's") == 2


def test_a_folder_of_another_layout_is_named(tmp_path):
    result = run('--data', tmp_path)
    assert isinstance(result.exception, UserError)
    assert 'instances' in str(result.exception) or 'train2017' in str(result.exception)


@pytest.mark.slow
def test_synthetic_pictures_if_none_are_named():
    result = run('--json')
    assert json.loads(result.stdout)['rows'][0]['images'] == 8
