"""The two lines, written for stock configs of every kind of backbone slot, build and run."""

import pytest

from downstream.stock.survey import as_markdown, survey
from downstream.stock.swap import FAMILIES, StockMap, literal, stages_like, swapped
from downstream.stock.trial import attempt, config_roots, stock_slot, swapped_config

# Each way a backbone is read: neck, list of necks, heads, one map, dilated maps, a plain ViT.
KINDS = [
    'mmdet/retinanet/retinanet_r50_fpn_1x_coco',
    'mmdet/libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco',
    'mmdet/yolof/yolof_r50-c5_8xb8-1x_coco',
    'mmdet/deformable_detr/deformable-detr_r50_16xb2-50e_coco',
    'mmseg/deeplabv3plus/deeplabv3plus_r50-d8_4xb4-80k_ade20k-512x512',
    'mmseg/segmenter/segmenter_vit-s_fcn_8xb1-160k_ade20k-512x512',
    'mmseg/segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512',
    'mmseg/beit/beit-base_upernet_8xb2-160k_ade20k-640x640',
]


@pytest.mark.parametrize('name', KINDS)
def test_each_family_goes_in(name: str) -> None:
    package, _, path = name.partition('/')
    file = config_roots()[package] / f'{path}.py'
    cfg, maps = stock_slot(file)
    for family in FAMILIES:
        trial = attempt(swapped_config(swapped(file, cfg, family, maps)))
        assert not trial.step, (family.name, trial)


def test_stages_follow_the_stock_maps() -> None:
    dilated = [StockMap(256, 4), StockMap(512, 8), StockMap(1024, 8), StockMap(2048, 8)]
    assert stages_like(dilated) == [0, 1, 2, 3]
    assert stages_like([StockMap(512, 8), StockMap(1024, 16), StockMap(2048, 32)]) == [1, 2, 3]
    assert stages_like([StockMap(2048, 32)]) == [3]


def test_values_are_written_as_configs_have_them() -> None:
    value = {'a': [1, (2,)], 'b': {'x-y': None}, 'c': 'text'}
    assert eval(literal(value)) == value


def test_the_table_counts_what_takes_them() -> None:
    rows = survey(only='mmseg/sem_fpn')
    assert len(rows) == 4
    text = as_markdown(rows, 'none')
    assert '| mmseg/sem_fpn (4) | 4 | 4 | 4 | 4 |  |' in text


@pytest.mark.slow
def test_stock_configs_but_known_ones_take_every_family(pytestconfig: pytest.Config) -> None:
    """One of each of mmseg's folders, or all; tools/stock_configs.py writes all into
    docs/stock_configs.md, and test_real_steps.py runs twenty of both packages."""
    every = pytestconfig.getoption('every_stock_config')
    rows = survey(jobs=2) if every else survey(only='mmseg/', each=1)
    rows = [row for row in rows if not row.no_slot]
    assert len(rows) > (1200 if every else 30)
    failed = [row.name for row in rows if any(trial.step for trial in row.trials.values())]
    assert len(failed) < len(rows) / 4
