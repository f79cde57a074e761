import json

import numpy as np
import pytest

from mim_backbones.errors import UserError
from pretrain.palette import read_palette

COLOURS = np.array([[0.0, 0.2, 0.4], [1.0, 0.6, 0.8]])


@pytest.mark.parametrize('stored', [
    (COLOURS * 2 - 1).astype(np.float32), COLOURS, (COLOURS * 255).astype(np.uint8), COLOURS * 255,
])  # fmt: skip
def test_the_usual_ranges_of_arrays(tmp_path, stored) -> None:
    np.save(tmp_path / 'p.npy', stored)
    assert np.allclose(read_palette(tmp_path / 'p.npy'), COLOURS, atol=1e-6)


def test_json(tmp_path) -> None:
    (tmp_path / 'p.json').write_text(json.dumps({'centres': COLOURS.tolist()}))
    assert np.allclose(read_palette(tmp_path / 'p.json'), COLOURS)


@pytest.mark.parametrize(('text', 'message'), [
    (None, 'does not exist; fit one: mimbench palette'),
    ('nothing', 'is no palette'),
    ('[1, 2]', 'is no palette'),
    ('{"centres": [[1, 2]]}', 'has the shape'),
    ('{"centres": [[0, 0, 0], [0, 0, 200]]}', 'outside of its range'),
    ('{"centres": [[0, 0, 0], [0, 0, NaN]]}', 'outside of its range'),
])  # fmt: skip
def test_mistakes(tmp_path, text, message) -> None:
    if text is not None:
        (tmp_path / 'p.json').write_text(text)
    with pytest.raises(UserError, match=message):
        read_palette(tmp_path / 'p.json')
