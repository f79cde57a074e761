"""Features on disk: whole or not there, within the budget, whoever else writes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from downstream.frozen import cache as module
from downstream.frozen.cache import SUFFIX, Entry, FeatureCache, size_of
from mim_backbones.errors import UserError

BUDGET = 2**24
KEY = 'ab' + '0' * 30


def entry(seed: int = 0, side: int = 8) -> Entry:
    torch.manual_seed(seed)
    maps = (torch.randn(6, side, side).bfloat16(), torch.randn(12, side // 2, side // 2).bfloat16())
    return Entry(maps, (33, 47))


def key(number: int) -> str:
    return f'{number:032x}'


def same(one: Entry | None, other: Entry) -> bool:
    return one is not None and one.picture == other.picture and all(
        torch.equal(a.view(torch.int16), b.view(torch.int16)) for a, b in zip(one.maps, other.maps)
    )  # fmt: skip


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    heard: list[str] = []
    logger = type('Logger', (), {'warning': lambda self, line: heard.append(line)})()
    monkeypatch.setattr(module.MMLogger, 'get_current_instance', lambda: logger)
    return heard


def test_what_is_read_is_what_was_put(tmp_path: Path) -> None:
    cache, given = FeatureCache('d', BUDGET, tmp_path), entry()
    assert cache.get(KEY) is None
    cache.put(KEY, given)
    assert same(cache.get(KEY), given)
    assert same(FeatureCache('d', 0, tmp_path).get(KEY), given), 'a reader'
    assert FeatureCache('e', BUDGET, tmp_path).get(KEY) is None, 'another digest'


@pytest.mark.parametrize('damage', ['cut', 'emptied', 'one bit', 'other bytes', 'no metadata'])
def test_a_broken_entry_is_none_and_is_written_anew(damage: str, tmp_path: Path) -> None:
    cache, given = FeatureCache('d', BUDGET, tmp_path), entry()
    cache.put(KEY, given)
    file = cache._file(KEY)
    content = bytearray(file.read_bytes())
    if damage == 'one bit':
        content[-3] ^= 4
    elif damage == 'no metadata':
        from safetensors.torch import save

        content = bytearray(save({'0': given.maps[0]}))
    else:
        content = {'cut': content[:-9], 'emptied': bytearray(), 'other bytes': b'\xff' * 99}[damage]
    file.write_bytes(content)
    assert cache.get(KEY) is None
    cache.put(KEY, given)
    assert same(cache.get(KEY), given)


def test_the_budget_holds_and_is_said_once(tmp_path: Path, warnings: list[str]) -> None:
    cache = FeatureCache('d', BUDGET, tmp_path)
    cache.put(key(0), entry())
    size = size_of(cache.home)
    cache = FeatureCache('d', int(3.5 * size), tmp_path)
    for number in range(1, 9):
        cache.put(key(number), entry(number))
    assert cache.full and size_of(cache.home) == 3 * size
    assert len(warnings) == 1 and 'budget' in warnings[0]
    assert [number for number in range(9) if cache.get(key(number))] == [0, 1, 2]


def test_a_larger_budget_goes_on(tmp_path: Path, warnings: list[str]) -> None:
    small = FeatureCache('d', 1, tmp_path)
    small.put(KEY, entry())
    assert small.full and small.get(KEY) is None
    cache = FeatureCache('d', BUDGET, tmp_path)
    cache.put(KEY, entry())
    assert same(cache.get(KEY), entry())


def test_unused_digests_make_room_the_oldest_first(tmp_path: Path, warnings: list[str]) -> None:
    used = FeatureCache('used', BUDGET, tmp_path)
    for age, name in ((300, 'old'), (200, 'newer'), (100, 'used')):
        cache = used if name == 'used' else FeatureCache(name, BUDGET, tmp_path)
        cache.put(KEY, entry())
        moment = time.time() - age
        os.utime(cache.home / 'used', (moment, moment))
        if name != 'used':
            cache.in_use.close()
    size = size_of(used.home)
    cache = FeatureCache('new', 3 * size + 9, tmp_path)
    cache.put(key(1), entry())
    assert sorted(home.name for home in module.homes(tmp_path)) == ['new', 'newer', 'used']
    cache.put(key(2), entry())
    assert sorted(home.name for home in module.homes(tmp_path)) == ['new', 'used']
    cache.put(key(3), entry())
    assert cache.full and same(used.get(KEY), entry()), 'what a process uses stays'
    assert sum(size_of(home) for home in module.homes(tmp_path)) <= cache.budget


@pytest.mark.parametrize('failure', ['write', 'free space'])
def test_a_full_disk_is_said_once_and_nothing_fails(
    failure: str, tmp_path: Path, warnings: list[str], monkeypatch
) -> None:
    cache = FeatureCache('d', BUDGET, tmp_path)
    cache.put(key(0), entry())
    if failure == 'write':

        def full(*args: object, **kwargs: object) -> None:
            raise UserError('cannot write: No space left on device')

        monkeypatch.setattr(module, 'write_atomically', full)
    else:
        monkeypatch.setattr(module, 'KEPT_FREE', 2**62)
    for number in (1, 2, 3):
        cache.put(key(number), entry())
    assert len(warnings) == 1
    assert same(cache.get(key(0)), entry()) and cache.get(key(1)) is None


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / 'file').touch()
    cache = FeatureCache('d', BUDGET, tmp_path / 'file' / 'features')
    cache.put(KEY, entry())
    assert len(warnings) == 1 and cache.get(KEY) is None


WRITER = """
import sys
from pathlib import Path
import mim_backbones
from downstream.frozen.cache import FeatureCache
from tests.downstream.frozen.test_cache import entry, key
cache = FeatureCache('d', int(sys.argv[2]), Path(sys.argv[1]))
print('ready', flush=True)
for number in range(int(sys.argv[3]), int(sys.argv[4])):
    cache.put(key(number), entry(number))
"""


def writer(folder: Path, budget: int, first: int, behind: int) -> subprocess.Popen:
    words = [sys.executable, '-c', WRITER, *map(str, (folder, budget, first, behind))]
    root = Path(__file__).parents[3]
    return subprocess.Popen(words, stdout=subprocess.PIPE, cwd=root)


@pytest.mark.slow
def test_two_processes_share_one_budget(tmp_path: Path) -> None:
    FeatureCache('d', BUDGET, tmp_path).put(key(999), entry())
    size = size_of(tmp_path / 'd')
    budget = 121 * size
    both = [writer(tmp_path, budget, first, first + 80) for first in (0, 40)]
    assert [each.wait() for each in both] == [0, 0]
    found = [FeatureCache('d', 0, tmp_path).get(key(number)) for number in range(120)]
    assert all(same(each, entry(number)) for number, each in enumerate(found))
    assert size_of(tmp_path / 'd') == budget


@pytest.mark.slow
def test_a_kill_leaves_whole_entries_and_a_right_ledger(tmp_path: Path) -> None:
    process = writer(tmp_path, BUDGET, 0, 10**6)
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    draft = tmp_path / 'd' / '00' / f'.{KEY}{SUFFIX}.x.part'
    draft.write_bytes(b'half')
    cache = FeatureCache('d', BUDGET, tmp_path)
    files = list(cache.home.glob(f'*/*{SUFFIX}'))
    assert files and not draft.exists()
    assert all(same(cache.get(file.stem), entry(int(file.stem, 16))) for file in files)
    assert cache._read() == size_of(cache.home)
