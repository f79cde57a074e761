"""In a process of its own: malloc's settings stay for good."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import torch
from mim_backbones.training.host_memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)  # 64 MiB: 16384 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

again = faults(), faults()
kept = keep_freed_memory()
faults()
print(kept, again[1], faults())
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='malloc is asked on glibc only')
def test_the_same_memory_is_used_again():
    result = subprocess.run([sys.executable, '-c', SCRIPT], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    kept, mapped_anew, used_again = result.stdout.split()
    assert kept == 'True'
    assert int(used_again) < 100 < int(mapped_anew)
