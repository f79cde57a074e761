import pickle
import sys
from argparse import Namespace
from collections import OrderedDict, defaultdict
from pathlib import PurePosixPath
from types import ModuleType

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from mim_backbones.checkpoints.safe.weights_file import CheckpointError, read_weights_file


def test_reads_every_format(tmp_path) -> None:
    state = {'a.weight': torch.arange(3.0)}
    torch.save({'model': state}, tmp_path / 'a.pth')
    torch.save({'model': state}, tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / 'a.safetensors')
    arrays = {'model': {'a.weight': np.arange(3, dtype=np.float32)}, '__author__': 'someone'}
    for protocol in (2, 4):
        (tmp_path / f'{protocol}.pkl').write_bytes(pickle.dumps(arrays, protocol))
        read = read_weights_file(tmp_path / f'{protocol}.pkl')['model']['a.weight']
        assert read.tolist() == [0, 1, 2]
    for name in ('a.pth', 'old.pth'):
        found = read_weights_file(tmp_path / name)['model']['a.weight']
        assert torch.equal(found, state['a.weight'])
    assert torch.equal(read_weights_file(tmp_path / 'a.safetensors')['a.weight'], state['a.weight'])


def test_what_training_scripts_store_beside_weights(tmp_path) -> None:
    content = {
        'model': OrderedDict(w=torch.zeros(2)),
        'args': Namespace(lr=0.1, output_dir=PurePosixPath('runs/1'), betas=(0.9, 0.95)),
        'best': np.float64(3),
        'losses': np.ones(3, dtype=np.float32),
        'shape': torch.Size([2, 3]),
        'counts': defaultdict(int, a=1),
        'history': HistoryBuffer([1.0], [1]),
    }
    torch.save(content, tmp_path / 'a.pth')
    found = read_weights_file(tmp_path / 'a.pth')
    assert found['args'].lr == 0.1
    assert found['args'].output_dir == 'runs/1'
    assert found['best'] == 3
    assert found['shape'] == (2, 3)
    assert found['counts'] == {'a': 1}
    assert type(found['history']).__name__ == 'InertObject'


def test_a_yacs_config_becomes_a_plain_dict(tmp_path, monkeypatch) -> None:
    # As SimMIM's and Swin's files have it; the class is gone when the file is read.
    class CfgNode(dict):
        def __init__(self, items: dict) -> None:
            super().__init__(items)
            self.__dict__['__deprecated_keys__'] = set()

    CfgNode.__module__, CfgNode.__qualname__ = 'yacs.config', 'CfgNode'
    module = ModuleType('yacs.config')
    module.CfgNode = CfgNode
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, 'yacs', ModuleType('yacs'))
        patch.setitem(sys.modules, 'yacs.config', module)
        config = CfgNode({'MODEL': CfgNode({'SWIN': CfgNode({'NUM_HEADS': [4, 8]})}), 'AMP': True})
        for form in (True, False):
            content = {'model': {}, 'config': config}
            torch.save(content, tmp_path / f'{form}.pth', _use_new_zipfile_serialization=form)
    for form in (True, False):
        found = read_weights_file(tmp_path / f'{form}.pth')['config']
        assert found == {'MODEL': {'SWIN': {'NUM_HEADS': [4, 8]}}, 'AMP': True}
        assert type(found) is OrderedDict


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'is empty'),
        (b'<!DOCTYPE html><html>404</html>', 'web page'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:0', 'Git LFS pointer'),
        (b'{"message": "Not Found"}', 'JSON text'),
        (pickle.dumps([1, 2], 2), 'corrupt or truncated'),
        (b'PK\x03\x04 a zip archive of something else', 'corrupt or truncated'),
    ],
)
def test_files_that_are_no_weights(tmp_path, content: bytes, message: str) -> None:
    path = tmp_path / 'x.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_weights_file(path)


@pytest.mark.filterwarnings('error::UserWarning')  # our one line is all there is to read
def test_missing_folder_list_program_and_broken_safetensors(tmp_path) -> None:
    with pytest.raises(CheckpointError, match='does not exist'):
        read_weights_file(tmp_path / 'no.pth')
    with pytest.raises(CheckpointError, match='is a folder'):
        read_weights_file(tmp_path)
    (tmp_path / 'x.safetensors').write_bytes(b'12345678 not json')
    with pytest.raises(CheckpointError, match='safetensors'):
        read_weights_file(tmp_path / 'x.safetensors')
    torch.save([torch.zeros(2)], tmp_path / 'list.pth')
    with pytest.raises(CheckpointError, match='holds a list'):
        read_weights_file(tmp_path / 'list.pth')
    torch.jit.script(torch.nn.Linear(1, 1)).save(tmp_path / 'program.pt')
    with pytest.raises(CheckpointError, match='TorchScript'):
        read_weights_file(tmp_path / 'program.pt')


def test_a_truncated_file_says_so(tmp_path) -> None:
    torch.save({'w': torch.zeros(1000)}, tmp_path / 'a.pth')
    whole = (tmp_path / 'a.pth').read_bytes()
    (tmp_path / 'b.pth').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match='corrupt or truncated'):
        read_weights_file(tmp_path / 'b.pth')
