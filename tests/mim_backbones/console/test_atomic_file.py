import os
import subprocess
import sys
from pathlib import Path

import pytest

from mim_backbones.console import atomic_file
from mim_backbones.console.atomic_file import (
    check_writable,
    clear_drafts,
    write_atomically,
    write_bytes_atomically,
)
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


def test_asking_for_a_folder_leaves_nothing(tmp_path) -> None:
    check_writable(tmp_path)
    check_writable(tmp_path / 'new' / 'newer')
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_and_a_folder_without_rights_are_refused(tmp_path, monkeypatch) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='file is a file; give another folder'):
        check_writable(tmp_path / 'file' / 'results')

    def refuse(dir: Path) -> None:  # the tests may run with every right
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(atomic_file.tempfile, 'TemporaryFile', refuse)
    with pytest.raises(UserError, match=r'cannot write to .*results: Permission denied'):
        check_writable(tmp_path / 'results')
    assert not (tmp_path / 'results').exists()


def test_a_checkpoint_that_the_disk_has_no_room_for_is_one_line(tmp_path):
    """Its size is limited here; torch's writer ends in an error about its own archive."""
    code = f"""
import mim_backbones, resource, torch
from mim_backbones.console.atomic_file import write_atomically
from mim_backbones.errors import UserError
from pathlib import Path
content = {{'w': torch.zeros(2 ** 18)}}
resource.setrlimit(resource.RLIMIT_FSIZE, (2 ** 18, 2 ** 18))
try:
    write_atomically(Path({str(tmp_path / 'a.pth')!r}), lambda stream: torch.save(content, stream))
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f'cannot write {tmp_path}/a.pth: File too large')
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_noticed_before_any_work(tmp_path):
    code = f"""
import resource
from mim_backbones.console.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
import sys
sys.argv = ['mimbench', 'analyze', 'masks', 'random', '--out', {str(tmp_path / 'a.png')!r}]
main()
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'cannot write to' in done.stderr and 'File too large' in done.stderr
    assert 'Traceback' not in done.stderr


WRITER = """
import sys, time
from pathlib import Path
from mim_backbones.console.atomic_file import write_atomically

def slowly(stream):
    stream.write(b'half')
    stream.flush()
    print('begun', flush=True)
    time.sleep(60)

write_atomically(Path(sys.argv[1]), slowly)
"""


def writing(path: Path) -> subprocess.Popen:
    """A process in the middle of writing a file."""
    process = subprocess.Popen(
        [sys.executable, '-c', WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == 'begun\n'
    return process


def test_drafts_of_the_dead_are_cleared_and_those_of_the_living_stay(tmp_path) -> None:
    dead, living = writing(tmp_path / 'a.pth'), writing(tmp_path / 'b.pth')
    try:
        dead.kill()
        dead.wait()
        (tmp_path / '.hidden').touch()
        (tmp_path / 'whole.part').touch()  # not ours
        assert len(list(tmp_path.glob('.*.part'))) == 2
        (cleared,) = clear_drafts(tmp_path)
        assert cleared.name.startswith('.a.pth.')
        check_writable(tmp_path)  # as every command begins
        left = sorted(path.name for path in tmp_path.iterdir())
        assert [name[:7] for name in left] == ['.b.pth.', '.hidden', 'whole.p']
    finally:
        living.kill()
        living.wait()
    check_writable(tmp_path)
    assert not list(tmp_path.glob('.*.part'))


def test_a_draft_that_is_cleared_before_it_is_locked_is_made_again(tmp_path, monkeypatch) -> None:
    lock, calls = atomic_file.lock, []

    def late(handle: int, wait: bool) -> bool:
        if not calls:
            (draft,) = tmp_path.glob('.*.part')
            draft.unlink()
        calls.append(handle)
        return lock(handle, wait)

    monkeypatch.setattr(atomic_file, 'lock', late)
    write_bytes_atomically(tmp_path / 'x', b'whole')
    assert len(calls) == 2
    assert [p.name for p in tmp_path.iterdir()] == ['x']


def test_bytes_and_names_are_synced_in_order_before_the_file_is_there(
    tmp_path, monkeypatch
) -> None:
    said = []
    for name in ('fsync', 'replace'):
        own = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, f=own: (said.append(n), f(*a))[1])
    write_bytes_atomically(tmp_path / 'x', b'whole')
    assert said == ['fsync', 'replace', 'fsync']
    said.clear()
    write_atomically(tmp_path / 'x', lambda stream: stream.write(b'1'), durable=False)
    assert said == ['replace']
