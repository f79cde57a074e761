import sys
import time

import pytest
import torch

from mim_backbones.bench.measure import paired_seconds, peak_mib, seconds


def test_seconds():
    assert 0.01 < seconds(lambda: time.sleep(0.011), repeats=3) < 1


@pytest.mark.skipif(sys.platform != 'linux', reason='peak memory is read from /proc')
def test_peak_memory_counts_what_is_freed_again():
    taken = peak_mib(lambda: torch.ones(16, 1024, 1024))
    assert 60 < taken < 200


def test_pairs_take_turns():
    calls = []
    ours, theirs, ratio = paired_seconds(lambda: calls.append('a'), lambda: calls.append('b'), 3)
    assert calls == ['a', 'b'] * 3
    assert min(ours, theirs, ratio) > 0
