import pytest

from mim_backbones.console.atomic_file import write_atomically, write_bytes_atomically
from mim_backbones.errors import UserError


def test_writes_and_replaces(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'x.bin'
    assert write_bytes_atomically(path, b'one') == path
    write_bytes_atomically(path, b'two')
    assert path.read_bytes() == b'two'
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_bytes_atomically(tmp_path / 'x.bin', b'old')

    def fail(stream):
        stream.write(b'half')
        raise OSError(28, 'No space left on device')

    with pytest.raises(UserError, match=r'x\.bin: No space left'):
        write_atomically(path, fail)
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(UserError, match=r'cannot write .*x\.bin'):
        write_bytes_atomically(tmp_path / 'file' / 'x.bin', b'')
