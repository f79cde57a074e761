"""Files that ask for code: nothing runs, and the error names what was asked for."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from mim_backbones.checkpoints.safe.pickle_names import globals_of
from mim_backbones.checkpoints.safe.weights_file import CheckpointError, read_weights_file
from tests.mim_backbones.checkpoints.safe.hostile import Hostile, zipped


class HostileState:
    """Runs at BUILD: its state is restored by a call of its own."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return dict, (), None, None, iter([('made', Hostile(Path(self.path)))])


@pytest.mark.parametrize('kind', [Hostile, HostileState])
@pytest.mark.parametrize('form', ['zip', 'old'])
def test_a_hostile_object_does_not_run(tmp_path, kind, form: str) -> None:
    target, file = tmp_path / 'made-by-the-pickle', tmp_path / 'evil.pth'
    torch.save({'model': kind(target)}, file, _use_new_zipfile_serialization=form == 'zip')
    with pytest.raises(CheckpointError, match=r'asks to run posix\.mkdir.*trust=True'):
        read_weights_file(file)
    assert not target.exists()
    read_weights_file(file, trust=True)
    assert target.exists()  # so the pickle was a working one


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize('suffix', ['.pth', '.bin', '.pkl'])
def test_no_protocol_gets_through(tmp_path, protocol: int, suffix: str) -> None:
    target = tmp_path / 'made'
    data = pickle.dumps({'model': Hostile(target)}, protocol)
    plain, archive = tmp_path / f'plain{suffix}', tmp_path / f'archive{suffix}'
    plain.write_bytes(data)
    zipped(archive, data)
    with pytest.raises(CheckpointError, match=r'posix\.mkdir'):
        read_weights_file(plain)
    with pytest.raises(CheckpointError, match=r'posix\.mkdir'):
        read_weights_file(archive)
    assert not target.exists()


TRICKS = {
    # name: (pickle, what the error names)
    'eval': (b"\x80\x02cbuiltins\neval\n(X\x06\x00\x00\x001 + 1ntR.", 'builtins.eval'),
    'instance': (b'(S"x"\nios\nsystem\n.', 'os.system'),
    'object': (b"(cos\nsystem\nS'x'\no.", 'os.system'),
    'module behind a known name': (b'\x80\x02ctorch.hub\nload\n(tR.', 'torch.hub.load'),
    'attribute of an attribute': (b'\x80\x04\x8c\x05numpy\x8c\x04os.x\x93.', 'numpy.os.x'),
    'memo': (b'\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93.', 'os.system'),
    'getattr on a module': (b'\x80\x02cbuiltins\ngetattr\n(cos\npath\nU\x04nametR.', 'os.path'),
    'new object': (b'\x80\x02csubprocess\nPopen\n(tx\x81.', 'subprocess.Popen'),
}  # fmt: skip


@pytest.mark.parametrize('trick', TRICKS)
def test_tricks(tmp_path, trick: str) -> None:
    data, name = TRICKS[trick]
    zipped(tmp_path / 'a.pth', data)
    with pytest.raises(CheckpointError, match=name.replace('.', r'\.')):
        read_weights_file(tmp_path / 'a.pth')


def test_getattr_reaches_nothing(tmp_path) -> None:
    # mmengine's buffers store getattr(HistoryBuffer, 'mean'); ours gives a text.
    data = (
        b'\x80\x02}X\x01\x00\x00\x00acbuiltins\ngetattr\n('
        b'cmmengine.logging.history_buffer\nHistoryBuffer\nX\x08\x00\x00\x00__dict__tRs.'
    )
    zipped(tmp_path / 'a.pth', data)
    assert read_weights_file(tmp_path / 'a.pth') == {'a': 'InertObject.__dict__'}


def test_listing_names_runs_nothing() -> None:
    data = pickle.dumps(os.system, 4) + pickle.dumps(os.getcwd, 0) + b'damage'
    assert globals_of(data) == ['posix.system', 'posix.getcwd']
