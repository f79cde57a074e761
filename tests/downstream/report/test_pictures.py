import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from downstream.report.draw.pictures import HEAVY, MAX_SIDE, named_pictures, read_picture
from mim_backbones.errors import UserError


def test_a_small_drawing_stays_as_it_is(tmp_path, picture):
    path = tmp_path / 'x.png'
    path.write_bytes(picture('x', size=(320, 200)))
    found = read_picture(path, 'a title')
    assert (found.title, found.suffix, found.width, found.height) == ('a title', '.png', 320, 200)
    assert not found.wide
    assert found.data_uri.startswith('data:image/png;base64,iVBOR')
    np.testing.assert_array_equal(
        Image.open(io.BytesIO(found.content)), Image.open(path).convert('RGB')
    )


def test_a_large_photo_is_made_light(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (700, 3000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / 'x.png')
    found = read_picture(tmp_path / 'x.png', '')
    assert (found.suffix, found.width) == ('.jpg', MAX_SIDE)
    assert found.wide
    assert len(found.content) < 2 * HEAVY


@pytest.mark.parametrize('kept', [0, 4, 300])
def test_a_broken_picture_is_named(tmp_path, picture, kept):
    path = tmp_path / 'broken.png'
    path.write_bytes(picture('x')[:kept])
    with pytest.raises(UserError, match=r'broken\.png: not a picture'):
        read_picture(path, '')


def test_pictures_of_the_command_line(tmp_path, picture):
    path = tmp_path / 'x=1.png'
    path.write_bytes(picture('x'))
    assert named_pictures([f'Two words={path}'])[0].title == 'Two words'
    with pytest.raises(UserError, match='write it as TITLE=PATH'):
        named_pictures([str(Path('x.png'))])
    with pytest.raises(UserError, match=r'gone\.png: picture not found'):
        named_pictures(['T=gone.png'])
