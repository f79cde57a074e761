import sys

import pytest
import torch

from mim_backbones.bench.measure import peak_mib


@pytest.mark.skipif(sys.platform != 'linux', reason='peak memory is read from /proc')
def test_peak_memory_counts_what_is_freed_again():
    taken = peak_mib(lambda: torch.ones(16, 1024, 1024))
    assert 60 < taken < 200
