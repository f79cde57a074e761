"""Counts of published models, the table in the package, and estimates of GPU-hours."""

import json

import pytest

from downstream.costs import table
from downstream.costs.table import COUNTS, costs, counted, digest, key, published, reported
from downstream.evaluation.protocols import recipes

ALL = recipes()
TABLE = json.loads(COUNTS.read_text())
ROWS = {key(one, arch): (one, arch) for one in ALL.values() for arch in one.sizes or ('',)}
# G multiply-adds at 800 x 1280 with 1000 proposals and 100 masks: README of
# SwinTransformer/Swin-Transformer-Object-Detection.
FLOPS = {
    'mask-rcnn-swin-1x tiny': 267, 'mask-rcnn-swin-3x small': 359,
    'cascade-mask-rcnn-swin-3x tiny': 745, 'cascade-mask-rcnn-swin-3x small': 838,
    'cascade-mask-rcnn-swin-3x base': 982,
}  # fmt: skip


@pytest.mark.parametrize('name', ROWS)
def test_the_table_is_of_the_recipes_as_they_are(name: str) -> None:
    mend = 'run python tools/count_protocols.py'
    assert TABLE.get(name, {}).get('digest') == digest(ROWS[name][0].path), mend
    assert set(TABLE) <= set(ROWS), mend


@pytest.mark.parametrize('name', FLOPS)
def test_operations_are_those_of_the_release(name: str) -> None:
    # The release also counts norms, and rounds.
    assert TABLE[name]['macs'] / 1e9 == pytest.approx(FLOPS[name], abs=1.5)
    assert TABLE[name]['input'] == [800, 1280]


def test_trackers_count_as_the_released_ones() -> None:
    """MAE-Lite's: 8.08 M parameters, 2.20 G with elimination, 2.85 G without

    OSTrack's are printed without the products of attention: 29.0 G at 256 px without elimination.
    """
    tiny = TABLE['one-stream-ti-h12-256']
    assert tiny['parameters'] / 1e6 == pytest.approx(8.08, abs=0.02)
    asked = sum(n * 2 * 192**2 for n in (320, 64 + 180, 64 + 126))  # queries and keys made again
    assert (tiny['macs'] - asked) / 1e9 == pytest.approx(2.20, abs=0.005)
    assert TABLE['one-stream-vit-lasot tiny-h12']['macs'] / 1e9 == pytest.approx(2.85, abs=0.005)
    attention = 12 * 2 * 320**2 * 768
    plain = TABLE['one-stream-vit-lasot base']['macs'] - attention
    assert plain / 1e9 == pytest.approx(29.0, abs=0.05)


@pytest.mark.parametrize(
    'name',
    [
        'one-stream-ti-h12-256',
        'mask-rcnn-vit-smoke',
        'upernet-swin-smoke',
        'mask-rcnn-swin-1x base',
        'upernet-vit-20k large',
    ],
)
def test_counting_anew_gives_the_table(name: str) -> None:
    assert json.loads(json.dumps(counted(*ROWS[name]))) == TABLE[name]


@pytest.mark.slow
@pytest.mark.parametrize('name', ROWS)
def test_counting_every_recipe_anew_gives_the_table(name: str) -> None:
    assert json.loads(json.dumps(counted(*ROWS[name]))) == TABLE[name]


def test_hours_by_hand() -> None:
    found = {key(one, arch): cost for one, arch, cost in costs(ALL.values())}
    # Published: 0.314 s x 184375 iterations x 64 images.
    assert found['mask-rcnn-vitdet-b'].gpu_hours == pytest.approx(0.314 * 11.8e6 / 3600)
    swin = found['mask-rcnn-swin-1x tiny']
    assert swin.images == 12 * 117266
    assert swin.gpu_hours == pytest.approx(3 * swin.macs / table.RATE * swin.images / 3600)


def test_a_recipe_without_a_row_is_counted(monkeypatch, tmp_path) -> None:
    one = ALL['mask-rcnn-vit-smoke']
    monkeypatch.setattr(table, 'COUNTS', tmp_path / 'none.json')
    ((_, _, found),) = costs([one])
    assert found.parameters == TABLE['mask-rcnn-vit-smoke']['parameters']


def test_a_digest_ignores_words_and_sees_values(tmp_path) -> None:
    file = tmp_path / 'a.py'
    file.write_text('"""One."""\nlr = 1  # slow\n')
    first = digest(file)
    file.write_text('"""Two."""\nlr = 1\n')
    assert digest(file) == first
    file.write_text('lr = 2\n')
    assert digest(file) != first


def test_reported_rows_are_of_the_framework_and_size() -> None:
    (mae, *others) = reported(ALL['mask-rcnn-vitdet-b'])
    assert (mae.method, mae.values) == ('MAE', {'APbox': 51.6, 'APmask': 45.9})
    assert [one.method for one in others] == ['SiameseIM']
    (large,) = reported(ALL['mask-rcnn-vitdet-l'])
    assert large.values == {'APbox': 55.5, 'APmask': 49.2}
    assert reported(ALL['mask-rcnn-vit-smoke']) == []
    (small,) = reported(ALL['mask-rcnn-swin-3x'], 'small')
    assert small.values == {'APbox': 48.5, 'APmask': 43.3}
    probed = {one.method: one.values for one in reported(ALL['linear-vit-b-mae'])}
    assert probed['BEiT v2'] == {'top1': 80.1} and 'DINO' in probed
    assert [one.values['top1'] for one in reported(ALL['linear-vit-h-mae'])] == [77.2]
    nearest = {one.method: one.values['top1'] for one in reported(ALL['knn-vit-dino'], 'base')}
    assert nearest['DINO'] == 76.1 and nearest['iBOT'] == 77.1
    tiny = {one.method for one in reported(ALL['mask-rcnn-vitdet-ti-640'])}
    assert {'MAE', 'D2-MAE-Lite', 'supervised (DeiT)'} <= tiny


def test_every_reported_row_has_a_source_and_a_protocol() -> None:
    frameworks = {one.protocol.framework for one in ALL.values()}
    for row in published():
        assert row['source'] and row['framework'] in frameworks and float(row['value'])
