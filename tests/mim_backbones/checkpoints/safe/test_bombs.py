"""Files that would take all memory or time, and names that lead outside: refused within bounds.

Each is read by a process that may take 60 s of computing and 4 GiB.
"""

import json
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from mim_backbones.checkpoints.safe import bombs
from mim_backbones.checkpoints.safe.weights_file import CheckpointError, read_weights_file
from tests.mim_backbones.checkpoints.safe.hostile import zipped

GIB = 2**30
READ = """
import resource, sys
from mim_backbones.checkpoints.load import from_checkpoint
from mim_backbones.errors import UserError
for path in sys.argv[1:]:
    try:
        from_checkpoint(path)
        print('loaded')
    except UserError as error:
        print('refused', error)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
assert peak < 4, peak
"""


def zeros(path: Path) -> None:
    """A record of 512 MiB of zeros in half a MB."""
    torch.save({'w': torch.zeros(4)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            with archive.open(name, 'w', force_zip64=True) as stream:
                stream.write(content)
                for _ in range(512 if name.endswith('data/0') else 0):
                    stream.write(bytes(2**20))


def spread(path: Path) -> None:
    """Four bytes seen as a matrix of 10^12."""
    torch.save({'model': {'w': torch.zeros(1).expand(10**6, 10**6)}}, path)


def spread_many(path: Path) -> None:
    seen = torch.zeros(2**18)
    torch.save({'model': {f'w{i}': seen[i:].clone()[:0].set_(seen.untyped_storage(), i, (2**17,))
                          for i in range(2000)}}, path)  # fmt: skip


def zeros_of_any_length(path: Path) -> None:
    zipped(path, b'\x80\x02}X\x01\x00\x00\x00acbuiltins\nlist\n(cbuiltins\nbytearray\n('
                 + b'J' + struct.pack('<i', 2**31 - 1) + b'tRtRs.')  # fmt: skip


def growing_path(path: Path) -> None:
    """A path of two paths of two paths: each twice as long, in a dict of all."""
    made = b'cpathlib\nPosixPath\n('
    data = b'\x80\x02}X\x01\x00\x00\x00a' + made + b'X\x08\x00\x00\x00aaaaaaaatRq\x00s'
    data += 60 * (b'X\x01\x00\x00\x00b' + made + b'h\x00h\x00tRq\x00s')
    zipped(path, data + b'.')


def nested_lists(path: Path) -> None:
    """Lists of the same lists, 2^60 long were they written out."""
    data = b'\x80\x02}X\x01\x00\x00\x00a]q\x00s'
    data += 60 * b'X\x01\x00\x00\x00b]q\x01(h\x00h\x00eq\x00s'
    zipped(path, data + b'.')


def large_array(path: Path) -> None:
    """numpy's own way to say: 8 TB."""
    data = (
        b'\x80\x02}X\x05\x00\x00\x00modelcnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n'
    )
    data += b'\x8a\x06' + (10**12).to_bytes(6, 'little') + b'\x85U\x01dtR.'
    path.write_bytes(data)


def deep(path: Path) -> None:
    zipped(path, b'\x80\x02' + b'(' * 10**5 + b'.')


def many_strings(path: Path) -> None:
    """A length that is not there."""
    zipped(path, b'\x80\x02X' + struct.pack('<I', 2**32 - 1) + b'abc')


BOMBS = {
    'zeros': (zeros, '.pth', 'unpacks to 512 MiB'),
    'a view of a byte': (spread, '.pth', r'claims .* MiB of tensors'),
    'many views of one': (spread_many, '.pth', r'claims .* MiB of tensors'),
    'bytearray': (zeros_of_any_length, '.pth', r'asks for builtins\.bytearray'),
    'growing path': (growing_path, '.pth', 'holds no tensors'),
    'nested lists': (nested_lists, '.pth', 'holds no tensors'),
    'large array': (large_array, '.pkl', 'corrupt or truncated'),
    'deep': (deep, '.pth', 'corrupt or truncated'),
    'string that is not there': (many_strings, '.pth', 'corrupt or truncated'),
}  # fmt: skip


def header(text: bytes, length: int | None = None, rest: bytes = b'') -> bytes:
    return struct.pack('<Q', len(text) if length is None else length) + text + rest


def tensor(shape: list[int], end: int, begin: int = 0, kind: str = 'F32') -> bytes:
    entry = {'dtype': kind, 'shape': shape, 'data_offsets': [begin, end]}
    return json.dumps({'w': entry}).encode()


SAFETENSORS = {
    'longest header': header(b'{}', 2**64 - 1),
    'header of 4 GiB': header(b'{}', 4 * GIB),
    'header beyond the end': header(tensor([1], 4), 10**6),
    'header of 0': header(b'', 0, b'\0' * 8),
    'header cut in a word': header(tensor([1], 4), 20, b'\0' * 4),
    'data beyond the end': header(tensor([2**30], 2**32), rest=b'\0' * 4),
    'shape that overflows': header(tensor([2**62, 4], 4), rest=b'\0' * 4),
    'negative shape': header(tensor([-1], 4), rest=b'\0' * 4),
    'offsets that run backwards': header(tensor([1], 0, 4), rest=b'\0' * 4),
    'offsets that overflow': header(tensor([1], 2**64, 4), rest=b'\0' * 4),
    'shape and bytes that differ': header(tensor([7], 4), rest=b'\0' * 4),
    'unknown type': header(tensor([1], 4, kind='../../x'), rest=b'\0' * 4),
    'no JSON': header(b'\xff' * 100),
    'a list': header(b'[1, 2]'),
    'deep JSON': header(b'[' * 10**6),
    'deep record': header(
        json.dumps({'__metadata__': {'mimbench': '[' * 10**5}}).encode()),
}  # fmt: skip


@pytest.mark.slow
def test_all_are_refused_in_60_seconds_and_4_gib(tmp_path) -> None:
    files = []
    for place, (write, suffix, _) in enumerate(BOMBS.values()):
        files.append(tmp_path / f'{place}{suffix}')
        write(files[-1])
    for place, data in enumerate(SAFETENSORS.values()):
        files.append(tmp_path / f's{place}.safetensors')
        files[-1].write_bytes(data)

    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
        resource.setrlimit(resource.RLIMIT_AS, (4 * GIB, 4 * GIB))

    result = subprocess.run(
        [sys.executable, '-c', READ, *map(str, files)],
        capture_output=True, text=True, preexec_fn=limits, timeout=120,
        env={'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(Path(__file__).parents[4])},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    lines = result.stdout.splitlines()
    assert len(lines) == len(files), result.stderr[-2000:]
    assert all(line.startswith('refused') for line in lines), lines


@pytest.mark.parametrize('name', BOMBS)
def test_the_reason_is_said(tmp_path, name: str) -> None:
    write, suffix, said = BOMBS[name]
    write(tmp_path / f'a{suffix}')
    from mim_backbones.checkpoints.load import from_checkpoint

    with pytest.raises(CheckpointError, match=said):
        from_checkpoint(str(tmp_path / f'a{suffix}'))


@pytest.mark.parametrize('name', SAFETENSORS)
def test_false_safetensors(tmp_path, name: str) -> None:
    (tmp_path / 'a.safetensors').write_bytes(SAFETENSORS[name])
    with pytest.raises(CheckpointError):
        read_weights_file(tmp_path / 'a.safetensors')


@pytest.mark.parametrize('name', ['../../outside', '/tmp/outside', 'archive/../../outside'])
def test_names_that_lead_outside(tmp_path, name: str) -> None:
    """An archive is read where it is; nothing is unpacked, and no other file is looked at."""
    inside = tmp_path / 'a' / 'b'
    inside.mkdir(parents=True)
    (tmp_path / 'outside').write_bytes(b'\1' * 16)
    before = sorted(tmp_path.rglob('*'))
    torch.save({'w': torch.zeros(4)}, inside / 'x.pth')
    with zipfile.ZipFile(inside / 'x.pth', 'a') as archive:
        archive.writestr(name, b'\2' * 16)
    with suppress(CheckpointError):
        assert read_weights_file(inside / 'x.pth')['w'].tolist() == [0] * 4
    # A tensor whose record is named so.
    with zipfile.ZipFile(inside / 'x.pth') as archive:
        entries = {n: archive.read(n) for n in archive.namelist()}
        own = next(n for n in entries if n.endswith('data.pkl'))
        data = entries[own].replace(b'X\x01\x00\x00\x000', b'X' + struct.pack('<I', len(name))
                                    + name.encode())  # fmt: skip
        assert data != entries[own]
    with zipfile.ZipFile(inside / 'x.pth', 'w') as archive:
        for entry, content in {**entries, own: data}.items():
            if entry != name:
                archive.writestr(entry, content)
    with pytest.raises(CheckpointError, match='corrupt or truncated'):
        read_weights_file(inside / 'x.pth')
    assert sorted(tmp_path.rglob('*')) == sorted([*before, inside / 'x.pth'])


def test_honest_files_are_none(tmp_path) -> None:
    """Tied, averaged and compressed ones."""
    weight = torch.randn(2**20)
    torch.save({'model': {'a': weight, 'tied': weight}, 'ema': {'a': weight}}, tmp_path / 'a.pth')
    with (
        zipfile.ZipFile(tmp_path / 'a.pth') as old,
        zipfile.ZipFile(tmp_path / 'b.pth', 'w', zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    for name in ('a.pth', 'b.pth'):
        content = read_weights_file(tmp_path / name)
        assert torch.equal(content['model']['tied'], weight)
    content['self'] = content
    assert bombs.logical_bytes(content) == 3 * 2**22


def test_a_plain_pickle_that_numbers_what_it_keeps_to_the_sky(tmp_path: Path) -> None:
    """One byte of a damaged file: C's reader makes a table of so many entries, 64 GiB."""
    path = tmp_path / 'a.pkl'
    path.write_bytes(b'\x80\x02}r' + struct.pack('<I', 2**32 - 1) + b'.')
    done = subprocess.run(
        [sys.executable, '-c', f'import resource\nresource.setrlimit(resource.RLIMIT_AS, '
         f'({4 * GIB}, {4 * GIB}))\n{READ}', str(path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.startswith('refused') and 'holds no tensors' in done.stdout, done


@pytest.mark.parametrize('shape', [(2**33,), (3,), (0, 2**40)])
def test_an_array_that_begins_with_a_size_is_refused(tmp_path: Path, shape: tuple) -> None:
    """Pickled arrays begin empty; objects would be filled in, as many as it says."""

    class Sized:
        def __init__(self, *call: object) -> None:
            self.call = call

        def __reduce__(self):
            return self.call

    remade = Sized(np.empty(0).__reduce__()[0], (np.ndarray, shape, b'b'))
    for made in (remade, Sized(np.ndarray, (shape, object))):
        for name, save in (('a.pkl', pickle_to), ('a.pth', torch.save)):
            save({'model': made}, tmp_path / name)
            with pytest.raises(CheckpointError):
                read_weights_file(tmp_path / name)


def pickle_to(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, 2))
