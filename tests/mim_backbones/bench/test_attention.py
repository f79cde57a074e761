from itertools import islice

import pytest

from mim_backbones.bench.attention import measure


@pytest.mark.slow
def test_at_vitdet_sizes_no_head_has_a_score_matrix():
    """4,096 tokens are 1024 px at patch 16: one float32 matrix per head would take 64 MiB."""
    forward, train = islice(measure(tokens=[4096], heads=2, repeats=1), 2)
    assert (forward.positions, forward.score_mib) == ('decomposed', 128)
    if forward.peak_mib is not None:  # told on Linux only
        assert forward.peak_of_scores < 0.5
        assert train.peak_of_scores < 1
        assert train.memory_ratio > 2
    assert forward.kernel == train.kernel == 'flash_attention'
    assert forward.difference < 1e-4
