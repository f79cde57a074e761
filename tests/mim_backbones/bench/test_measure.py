import sys
import time

import pytest
import torch

from mim_backbones.bench.measure import peak_mib, seconds


def test_seconds():
    assert 0.01 < seconds(lambda: time.sleep(0.011), repeats=3) < 1


@pytest.mark.skipif(sys.platform != 'linux', reason='peak memory is read from /proc')
def test_peak_memory_counts_what_is_freed_again():
    taken = peak_mib(lambda: torch.ones(16, 1024, 1024))
    assert 60 < taken < 200
