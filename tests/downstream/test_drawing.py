import io

import numpy as np
import pytest
from PIL import Image

from downstream.drawing import TEXT, WIDTH, class_colours, note, sheet


def tiles(count, width=200):
    return [np.full((200, width, 3), 40 + i, np.uint8) for i in range(count)]


def opened(png):
    return Image.open(io.BytesIO(png))


@pytest.mark.parametrize(('count', 'width'), [(1, 200), (6, 200), (6, 266), (12, 120)])
def test_a_sheet_is_never_wider_than_a_phone_can_show(count, width):
    colours = class_colours(11)
    legend = [(f'a class {i}', colours[i]) for i in range(11)]
    page = opened(
        sheet([('truth', tiles(count, width)), ('prediction', tiles(count, width))], legend)
    )
    assert page.width <= WIDTH
    # shown at 350 px, its text is still at least nine pixels high
    assert TEXT * 350 / page.width >= 9
    shown = set(np.unique(np.asarray(page)[..., 0]).tolist())
    assert shown >= {40 + i for i in range(count)}  # every tile is there
    found = {tuple(each) for each in np.asarray(page).reshape(-1, 3).tolist()}
    if width * count > 400:  # a narrow sheet has more lines of legend, all the same
        assert found >= {tuple(each) for each in colours.tolist()}


def test_one_tile_wider_than_a_sheet_has_a_line_of_its_own():
    page = opened(sheet([('truth', [*tiles(1, 900), *tiles(1)])], []))
    assert page.width > 900


def test_a_note_is_written_on_a_copy_of_the_tile():
    tile = tiles(1)[0]
    written = note(tile, 'no objects')
    assert (written[:20, :20] != tile[:20, :20]).any()
    assert (written[100:] == tile[100:]).all()
    assert (tile == 40).all()
