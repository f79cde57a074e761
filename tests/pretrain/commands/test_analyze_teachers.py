"""`mimbench analyze teachers` as a user runs it."""

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from mim_backbones.errors import UserError
from pretrain.commands.analyze_teachers import teachers
from pretrain.diversity import scores
from tests.pretrain.small import write_blobs

SMALL = ('--img-size', '64', '--patch-size', '16')
WORDS = ('random:timm:test_resnet', 'vit=random:timm:test_vit', 'pixels', 'norm-pix')


@pytest.fixture
def images(tmp_path):
    return write_blobs(tmp_path / 'images', count=5, px=80)


def run(*words: object) -> str:
    result = CliRunner().invoke(teachers, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_table_and_the_same_as_json(images) -> None:
    found = json.loads(run(*WORDS, *SMALL, '--images', images, '--json'))
    assert (found['images'], found['skipped'], found['against']) == (5, [], [])
    rows = {row['name']: row for row in found['teachers']}
    assert list(rows) == ['random:timm:test_resnet', 'vit', 'pixels', 'norm-pix']
    assert [row['grid'] for row in rows.values()] == [[2, 2], [4, 4], [4, 4], [4, 4]]
    assert all(len(row['similarity']) == max(row['grid']) - 1 for row in rows.values())
    assert rows['pixels']['parameters'] == rows['pixels']['macs'] == 0
    assert rows['vit']['macs'] > 1e6
    # A LayerNorm of raw patches is the normalisation of norm-pix, but for the unbiased variance.
    raw, normed = (rows[name]['figures'] for name in ('pixels', 'norm-pix'))
    assert raw['token_diversity_layer_norm']['mean'] == pytest.approx(
        normed['token_diversity']['mean'], abs=1e-3
    )
    text = run(*WORDS, *SMALL, '--images', images)
    assert 'rank-1 residual' in text and '5 images, 1 thread.' in text
    diversity = rows['vit']['figures']['token_diversity']
    assert f'{diversity["mean"]:.3f} ± {diversity["deviation"]:.3f}' in text


def test_the_same_images_for_all_and_a_broken_one_for_none(images) -> None:
    (images / '002.png').write_bytes(b'broken')
    words = (*WORDS[2:], *SMALL, '--images', images, '--json')
    result = CliRunner().invoke(teachers, [*map(str, words)], catch_exceptions=False)
    found = json.loads(result.stdout)
    assert found['skipped'] == [str(images / '002.png')]
    assert 'warning: skipped' in result.stderr
    assert [row['images'] for row in found['teachers']] == [4, 4]
    limited = json.loads(run(*words, '--limit', 2))
    assert limited['images'] == 2


def test_pictures_with_and_without_scores(images, tmp_path, monkeypatch) -> None:
    line = {'task': 'segmentation', 'protocol': 'p', 'protocol_version': '1',
            'protocol_sha256': 's', 'fingerprint': 'f', 'metric_name': 'mIoU', 'low': None,
            'high': None}  # fmt: skip
    lines = [{**line, 'checkpoint': name, 'value': 20.0} for name in ('pixels', 'norm-pix')]
    monkeypatch.setattr(scores, 'report_numbers', lambda folder: lines)
    words = (*WORDS[2:], *SMALL, '--images', images)
    plain, scored = tmp_path / 'new' / 'plain.png', tmp_path / 'scored.png'
    assert run(*words, '--out', plain).endswith(f'{plain}\n')
    text = run(*words, '--results', tmp_path, '--out', scored)
    assert 'segmentation, p v1, mIoU: 2 teachers: too few to say anything, it takes 4' in text
    with Image.open(plain) as one, Image.open(scored) as other:
        assert one.size[0] == other.size[0] and other.size[1] == 2 * one.size[1]
    again = tmp_path / 'again.svg'
    run(*words, '--out', again)
    before = again.read_bytes()
    run(*words, '--out', again)
    assert again.read_bytes() == before


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('pixels', '--images', 'none'), 'none does not exist; give an image or a folder'),
        (('pixels', '--images', 'empty'), 'no JPEG or PNG below'),
        (('pixels', '--images', 'broken'), 'cannot be decoded nor any of 1 more'),
        (('pixels', '--images', 'images', '--out', 'a.gif'), 'call the picture *.png or *.svg'),
        (('clip', '--images', 'images'), "no teacher 'clip': give the file of"),
        (('broken/0.png', '--images', 'images'), 'checkpoint broken/0.png'),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    images, tmp_path, monkeypatch, words, message
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ('empty', 'broken'):
        (tmp_path / folder).mkdir()
    for number in range(2):
        (tmp_path / 'broken' / f'{number}.png').write_bytes(b'x')
    before = {*tmp_path.rglob('*')}
    with pytest.raises(UserError) as caught:
        run(*words, *SMALL)
    assert message in str(caught.value) and '\n' not in str(caught.value)
    assert {*tmp_path.rglob('*')} == before
