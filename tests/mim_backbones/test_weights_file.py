import os
import pickle
from argparse import Namespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from mim_backbones.weights_file import CheckpointError, read_weights_file


class Hostile:
    """Pickles as a call that would make a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_reads_both_formats(tmp_path) -> None:
    state = {'a.weight': torch.arange(3.0)}
    torch.save(
        {'model': state, 'args': Namespace(lr=0.1), 'best': np.float64(3)}, tmp_path / 'a.pth'
    )
    save_file(state, tmp_path / 'a.safetensors')
    pickled = read_weights_file(tmp_path / 'a.pth')
    assert torch.equal(pickled['model']['a.weight'], state['a.weight'])
    assert pickled['args'].lr == 0.1
    assert pickled['best'] == 3
    assert torch.equal(read_weights_file(tmp_path / 'a.safetensors')['a.weight'], state['a.weight'])


def test_a_hostile_pickle_does_not_run(tmp_path) -> None:
    target = tmp_path / 'made-by-the-pickle'
    torch.save({'model': Hostile(str(target))}, tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError, match=r'asks to run \w+\.mkdir.*trust=True'):
        read_weights_file(tmp_path / 'evil.pth')
    assert not target.exists()
    read_weights_file(tmp_path / 'evil.pth', trust=True)
    assert target.exists()  # so the pickle was a working one


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'is empty'),
        (b'<!DOCTYPE html><html>404</html>', 'web page'),
        (b'version https://git-lfs', 'corrupt or truncated'),
        (pickle.dumps([1, 2]), 'holds a list|corrupt'),
    ],
)
def test_files_that_are_no_weights(tmp_path, content: bytes, message: str) -> None:
    path = tmp_path / 'x.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_weights_file(path)


def test_missing_file_folder_and_broken_safetensors(tmp_path) -> None:
    with pytest.raises(CheckpointError, match='does not exist'):
        read_weights_file(tmp_path / 'no.pth')
    with pytest.raises(CheckpointError, match='is a folder'):
        read_weights_file(tmp_path)
    (tmp_path / 'x.safetensors').write_bytes(b'12345678 not json')
    with pytest.raises(CheckpointError, match='safetensors'):
        read_weights_file(tmp_path / 'x.safetensors')


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_files_end_in_one_clear_error(tmp_path, data) -> None:
    path = tmp_path / 'whole.pth'
    if not path.exists():
        torch.save({'model': {'w': torch.randn(8, 8), 'b': torch.zeros(3)}, 'epoch': 3}, path)
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(1, len(whole) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 8))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = tmp_path / 'damaged.pth'
    damaged.write_bytes(whole)
    try:
        assert isinstance(read_weights_file(damaged), dict)
    except CheckpointError as error:
        assert str(damaged) in str(error)
        assert '\n' not in str(error)
