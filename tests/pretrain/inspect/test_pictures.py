import numpy as np
import pytest
from PIL import Image

from mim_backbones.errors import UserError
from pretrain.inspect.pictures import caption, example_sheet, masked, plain_scene, read_picture


def test_hidden_patches_are_grey_and_the_rest_is_untouched() -> None:
    picture = plain_scene((16, 24))
    mask = np.array([[True, False, False], [False, False, True]])
    found = masked(picture, mask)
    assert (found[:8, :8] == 127).all()
    assert (found[8:, 16:] == 127).all()
    assert (found[:8, 8:] == picture[:8, 8:]).all()
    assert (found[8:, :16] == picture[8:, :16]).all()


def test_caption() -> None:
    assert caption(np.array([[True, False]]), 1) == '50.0% hidden, 1.0 px'
    assert caption(np.array([[True, True]]), 1) == '100.0% hidden'


def test_sheet_has_a_tile_for_everything() -> None:
    picture = plain_scene((192, 192))
    masks = np.zeros((5, 2, 2), dtype=bool)
    masks[:, 0, 0] = True
    sheet = np.asarray(example_sheet(picture, masks, masks.mean(0)))
    assert sheet.shape == (2 * (192 + 18 + 6) + 6, 5 * (192 + 6) + 6, 3)
    top, left = 6 + 18, 6
    assert (sheet[top : top + 192, left : left + 192] == picture).all()
    last = sheet[top + 216 : top + 216 + 192, left + 198 : left + 198 + 192]
    assert (last[:96, :96] == 255).all()
    assert (last[96:] == 0).all()


def test_an_image_is_cut_to_the_masks_shape(tmp_path) -> None:
    path = tmp_path / 'wide.png'
    Image.new('L', (100, 40), 7).save(path)
    assert read_picture(path, (32, 48)).shape == (32, 48, 3)
    (tmp_path / 'no.png').write_text('no image')
    with pytest.raises(UserError, match=r'no\.png cannot be decoded'):
        read_picture(tmp_path / 'no.png', (32, 32))
