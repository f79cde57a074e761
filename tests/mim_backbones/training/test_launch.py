"""A process of training keeps the memory that it has."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import torch
from mim_backbones.training.launch import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)  # 64 MiB: 16384 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

again = faults(), faults()
kept = keep_freed_memory()
# Small blocks may land in the first gap that is left free; from then on it stays.
print(kept, again[1], min(faults() for _ in range(5)))
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='malloc is asked on glibc only')
def test_the_same_memory_is_used_again():
    # Addresses are drawn for each process: in one of a few the heap has no room to grow.
    faults = []
    for _ in range(8):
        result = subprocess.run([sys.executable, '-c', SCRIPT], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        kept, mapped_anew, used_again = result.stdout.split()
        assert kept == 'True'
        assert int(mapped_anew) > 10_000
        faults.append(int(used_again))
        if faults[-1] < 100:
            return
    pytest.fail(f'page faults of a repeated allocation: {faults}')
