import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mim_backbones.errors import UserError
from pretrain.commands.palette import palette
from pretrain.targets.palette import fit_palette, read_palette


def test_two_groups_by_hand() -> None:
    pixels = np.array(
        [[0, 0, 0], [0, 0, 0], [30, 0, 0], [250, 255, 255], [255, 255, 255]], np.uint8
    )
    found = fit_palette(pixels, 2)
    assert np.allclose(found.centres * 255, [[10, 0, 0], [252.5, 255, 255]])
    # 2 * 10^2 + 20^2 + 2 * 2.5^2 over five pixels
    assert 255 * found.rms == pytest.approx((612.5 / 5) ** 0.5)


@given(st.integers(0, 99), st.integers(2, 12))
@settings(max_examples=15, deadline=None)
def test_order_is_nothing_and_centres_are_means(seed: int, colours: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (300, 3)).astype(np.uint8)
    found = fit_palette(pixels, colours, seed)
    again = fit_palette(rng.permutation(pixels), colours, seed)
    assert np.array_equal(found.centres, again.centres)
    assert found.centres.min() >= 0 and found.centres.max() <= 1
    more = fit_palette(pixels, 100, seed)
    assert more.rms < found.rms


def test_as_many_colours_as_there_are_fit_exactly() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3)).astype(np.uint8)
    assert fit_palette(pixels, 20).rms == pytest.approx(0, abs=1e-9)
    with pytest.raises(UserError, match='20 distinct colours, fewer than the 21'):
        fit_palette(pixels, 21)


def test_threads_change_nothing() -> None:
    code = (
        'import numpy as np; from pretrain.targets.palette import fit_palette\n'
        'p = np.random.default_rng(0).integers(0, 256, (20000, 3)).astype(np.uint8)\n'
        'print(fit_palette(p, 64).centres.tobytes().hex())'
    )
    found = {
        subprocess.run(
            [sys.executable, '-c', code], capture_output=True, check=True,
            env={**os.environ, 'OMP_NUM_THREADS': threads, 'OPENBLAS_NUM_THREADS': threads},
        ).stdout
        for threads in ('1', '2')
    }  # fmt: skip
    assert len(found) == 1


def test_the_command_writes_what_the_target_reads(tmp_path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / 'images'
    folder.mkdir()
    for i in range(3):
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(folder / f'{i}.png')
    (folder / '3.png').write_bytes(b'no picture')
    written = []
    for name in ('a.json', 'b.json'):
        options = ['--colours', '8', '--pixels', '500', '--img-size', '16', '--json']
        result = CliRunner().invoke(palette, [str(folder), '--out', str(tmp_path / name), *options])
        assert result.exception is None, result.exception
        assert '3.png: it cannot be decoded' in result.output
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert read_palette(tmp_path / 'a.json').shape == (8, 3)
    assert json.loads(written[0])['images'] == 3


def test_a_failing_command_writes_nothing(tmp_path) -> None:
    (tmp_path / 'no.png').write_bytes(b'no picture')
    out = tmp_path / 'p.json'
    result = CliRunner().invoke(palette, [str(tmp_path / 'no.png'), '--out', str(out)])
    assert isinstance(result.exception, UserError)
    assert not out.exists()
