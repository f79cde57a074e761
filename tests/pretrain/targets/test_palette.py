import json

import numpy as np
import pytest

from mim_backbones.errors import UserError
from pretrain.targets.palette import read_palette

COLOURS = np.array([[0.0, 0.2, 0.4], [1.0, 0.6, 0.8]])


@pytest.mark.parametrize('stored', [
    (COLOURS * 2 - 1).astype(np.float32), COLOURS, (COLOURS * 255).astype(np.uint8), COLOURS * 255,
])  # fmt: skip
def test_the_usual_ranges_of_arrays(tmp_path, stored) -> None:
    np.save(tmp_path / 'p.npy', stored)
    assert np.allclose(read_palette(tmp_path / 'p.npy'), COLOURS, atol=1e-6)


@pytest.mark.parametrize('beside', [-1e-17, -1e-4, 1 + 1e-6])
def test_what_rounding_leaves_beside_the_range_is_its_end(tmp_path, beside: float) -> None:
    stored = COLOURS.copy()
    stored[int(beside > 0), 0] = beside  # in place of a 0 or a 1
    np.save(tmp_path / 'p.npy', stored)
    (tmp_path / 'p.json').write_text(json.dumps({'centres': stored.tolist()}))
    for name in ('p.npy', 'p.json'):
        assert np.array_equal(read_palette(tmp_path / name), COLOURS.astype(np.float32))


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
    ('{"centres": [[0, 0, 0], [0, 0, -0.01]]}', 'outside of its range'),
    ('{"centres": [[true, true, true], [false, false, false]]}', 'holds bool; colours are real'),
    ('{"centres": [[0.5, 0, 0], [0, 1, 0], [0.5, 0, 0]]}', r'\[0\.5, 0\.0, 0\.0\] \(row 0\) more'),
])  # fmt: skip
def test_mistakes(tmp_path, text, message) -> None:
    if text is not None:
        (tmp_path / 'p.json').write_text(text)
    with pytest.raises(UserError, match=message):
        read_palette(tmp_path / 'p.json')


@pytest.mark.parametrize('kind', [complex, bool, object])
def test_arrays_that_hold_no_colours(tmp_path, kind: type) -> None:
    np.save(tmp_path / 'p.npy', np.eye(3).astype(kind), allow_pickle=True)
    with pytest.raises(UserError, match=r'p\.npy (holds|is no palette)') as caught:
        read_palette(tmp_path / 'p.npy')
    assert '\n' not in str(caught.value)


def test_an_archive_of_arrays_by_another_name(tmp_path) -> None:
    np.savez(tmp_path / 'p.npz', centres=COLOURS)
    (tmp_path / 'p.npz').rename(tmp_path / 'p.npy')
    with pytest.raises(UserError, match='is no palette: the magic string is not correct'):
        read_palette(tmp_path / 'p.npy')
