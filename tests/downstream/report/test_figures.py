import io

import numpy as np
import pytest
from PIL import Image

from downstream.report.comparison import compare
from downstream.report.draw.figures import chart
from downstream.report.read.groups import group_results
from downstream.results.result import read_results, write_result
from mim_backbones.console.charts import COLOURS, for_dark_page


def table_of(folder):
    return compare(group_results(read_results(folder)), splits=50)[0]


def test_a_chart_is_a_picture_and_the_same_every_time(results_dir):
    table = table_of(results_dir)
    image = np.asarray(Image.open(io.BytesIO(chart(table, 'png'))).convert('L'))
    assert image.shape[1] == 1680
    assert image[0, 0] == 255
    assert image.min() < 100
    svg = chart(table)
    assert b'<svg' in svg
    assert b'<script' not in svg
    assert svg == chart(table)


def test_a_dark_page_has_the_same_chart_in_its_own_colours(results_dir):
    svg = chart(table_of(results_dir))
    dark = for_dark_page(svg)
    assert len(dark) == len(svg)
    for light, other in COLOURS.values():
        assert light.encode() not in dark
        assert (other.encode() in dark) == (light.encode() in svg)


@pytest.mark.parametrize('with_units', [True, False])
def test_one_checkpoint_alone(tmp_path, with_units, made_up):
    result, units = made_up('mae', 'tracking')
    write_result(tmp_path, result, units if with_units else None)
    assert Image.open(io.BytesIO(chart(table_of(tmp_path), 'png'))).width == 1680
