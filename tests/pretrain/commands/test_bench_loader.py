"""`mimbench bench loader`, of pre-training images and as the door to the other tasks'."""

import json

import pytest
from click.testing import CliRunner

from mim_backbones.commands.bench import bench
from mim_backbones.errors import UserError
from tests.pretrain.small import write_blobs

QUICK = ['--size', '32', '--repeats', '2', '--batch', '3']


def run(*words):
    return CliRunner().invoke(bench, ['loader', *map(str, words)])


def test_the_pixels_agree_and_the_stages_add_up(tmp_path) -> None:
    images = write_blobs(tmp_path / 'images', 8)
    result = run('--data', images, *QUICK, '--images', 7, '--enlarge', 120, '--json')
    assert result.exit_code == 0, (result.output, result.exception)
    exact, fast = json.loads(result.stdout)['rows']
    assert (exact['decode'], fast['decode']) == ('exact', 'fast')
    assert exact['levels'] == [0, 0]
    assert fast['levels'][0] < 1
    for row in (exact, fast):
        assert (row['images'], row['size']) == (7, 32)
        for name in ('ours', 'usual'):
            stages = row[name]['milliseconds']
            assert list(stages) == ['read', 'decode', 'augment', 'collate']
            total = sum(stages.values())
            assert row[name]['images_per_second'] == pytest.approx(1e3 / total, rel=0.2)
        low, middle, high = row['ratio']
        assert 0 < low <= middle <= high


def test_a_table_of_the_files_as_they_are(tmp_path) -> None:
    result = run('--data', write_blobs(tmp_path / 'images', 2), *QUICK, '--decode', 'exact')
    assert result.output.count('times as many images') == 1
    assert 'Pillow + torchvision' in result.output


def test_help_is_the_tasks() -> None:
    assert '--enlarge' in run('--help').output
    assert 'mmdet' in run('--task', 'detection', '--help').output


@pytest.mark.parametrize(('words', 'message'), [
    (['--data', 'nowhere'], 'nowhere does not exist'),
    (['--task', 'sculpture'], 'sculpture'),
    (['--data', '.', '--sice', '3'], '--sice'),
    ([], '--data'),
])  # fmt: skip
def test_what_is_wrong_is_one_line(words, message: str) -> None:
    result = run(*words)
    assert result.exit_code != 0
    said = result.exception if isinstance(result.exception, UserError) else result.output
    assert message in str(said)
