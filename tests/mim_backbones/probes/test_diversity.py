"""Figures of tokens against numbers worked by hand and the sums over all pairs."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mim_backbones.probes.diversity import (
    centred,
    effective_rank,
    rank1_residual,
    similarity_by_distance,
    token_diversity,
    token_figures,
)

SHAPES = st.tuples(st.integers(1, 3), st.integers(2, 7), st.integers(1, 5))
TOKENS = SHAPES.flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-4, 4, width=16))
)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / lengths) if lengths else 0.0


@given(TOKENS)
def test_diversity_is_that_of_all_pairs(tokens) -> None:
    found = token_diversity(torch.tensor(tokens))
    for value, image in zip(found.tolist(), tokens.astype(np.float64)):
        pairs = [cosine(a, b) for i, a in enumerate(image) for j, b in enumerate(image) if i != j]
        assert value == pytest.approx(1 - np.mean(pairs), abs=1e-9)


def test_diversity_by_hand() -> None:
    alike = torch.tensor([1.0, 2.0]).expand(1, 5, 2)
    assert token_diversity(alike).item() == pytest.approx(0, abs=1e-12)
    assert token_diversity(torch.eye(4)[None]).item() == pytest.approx(1, abs=1e-12)
    # Three unit vectors at 120 degrees, the regular simplex: all cosines are -1/2.
    angles = torch.tensor([0.0, 1.0, 2.0], dtype=torch.double) * 2 * math.pi / 3
    simplex = torch.stack([angles.cos(), angles.sin()], 1)[None]
    assert token_diversity(simplex).item() == pytest.approx(3 / 2, abs=1e-12)  # N / (N - 1)
    # Cosines 1/sqrt(2), 0, 1/sqrt(2), each pair once.
    corner = torch.tensor([[[1.0, 0], [3, 3], [0, 2]]])
    assert token_diversity(corner).item() == pytest.approx(1 - 2**0.5 / 3, abs=1e-7)
    assert token_diversity(torch.zeros(1, 3, 2)).item() == 1
    with pytest.raises(ValueError, match='1 token for an image'):
        token_diversity(torch.ones(2, 1, 8))


def test_what_diversity_ignores_and_what_not() -> None:
    tokens = torch.randn(2, 9, 16, dtype=torch.double)
    turn = torch.linalg.qr(torch.randn(16, 16, dtype=torch.double)).Q
    scale = torch.rand(2, 9, 1) + 0.1
    plain = token_diversity(tokens)
    assert torch.allclose(token_diversity(tokens @ turn * scale), plain, atol=1e-9)
    assert (token_diversity(tokens + 3) < plain - 0.1).all()
    relu = token_diversity(tokens.relu())
    assert ((relu >= 0) & (relu <= 1)).all()
    # Every token k times: 1 - (k |sum u|^2 - N) / (N (k N - 1)).
    sums = F.normalize(tokens, dim=-1).sum(1).square().sum(-1)
    repeated = token_diversity(tokens.repeat_interleave(4, dim=1))
    assert torch.allclose(repeated, 1 - (4 * sums - 9) / (9 * 35), atol=1e-12)


@pytest.mark.parametrize('count', [2, 3, 5, 9])
def test_the_largest_is_that_of_a_regular_simplex(count: int) -> None:
    """Orthonormal tokens without their mean: all cosines are -1 / (N - 1)."""
    simplex = centred(torch.eye(count)[None])
    assert token_diversity(simplex).item() == pytest.approx(count / (count - 1), abs=1e-12)


def test_a_token_is_no_pair_with_itself() -> None:
    """With the diagonal it would be (N - 1) / N times as large."""
    tokens = torch.randn(3, 7, 5, dtype=torch.double)
    unit = F.normalize(tokens, dim=-1)
    with_diagonal = 1 - (unit @ unit.mT).mean((1, 2))
    assert torch.allclose(token_diversity(tokens) * 6 / 7, with_diagonal, atol=1e-12)


def test_centred_tokens_have_no_mean() -> None:
    tokens = torch.randn(2, 9, 4) + 100
    assert centred(tokens).mean(1).abs().max() < 1e-12
    assert (token_diversity(tokens) < 0.01).all() and (token_diversity(centred(tokens)) > 0.9).all()


@given(TOKENS)
def test_effective_rank_is_that_of_an_svd(tokens) -> None:
    for rows in (tokens, tokens.swapaxes(1, 2)):
        found = effective_rank(torch.tensor(rows.copy()))
        for value, image in zip(found.tolist(), rows.astype(np.float64)):
            values = np.linalg.svd(image, compute_uv=False)
            shares = values[values > 0] / max(values.sum(), 1e-300)
            expected = np.exp(-(shares * np.log(shares)).sum()) if values.any() else 0
            assert value == pytest.approx(expected, abs=1e-4)


def test_effective_rank_by_hand() -> None:
    assert effective_rank(torch.eye(5, 8)).item() == pytest.approx(5)
    assert effective_rank(torch.ones(2, 50, 30)).tolist() == pytest.approx([1, 1], abs=1e-4)
    # Singular values 2, 1, 1: shares 1/2, 1/4, 1/4, an entropy of 3/2 bits.
    assert effective_rank(torch.diag(torch.tensor([2.0, 1, 1]))).item() == pytest.approx(2**1.5)


def test_rank1_residual_by_hand() -> None:
    # Mean (1, 1); what is left is (1, -1) and (-1, 1): |.|^2 of 4 beside 8 of the whole.
    tokens = torch.tensor([[[2.0, 0], [0, 2]], [[3, 1], [3, 1]], [[0, 0], [0, 0]]])
    assert rank1_residual(tokens).tolist() == pytest.approx([0.5**0.5, 0, 0])


def test_similarity_by_distance_is_that_of_all_pairs() -> None:
    maps = torch.randn(2, 3, 4, 6)
    found = similarity_by_distance(maps)
    assert found.shape == (2, 5)
    for b, image in enumerate(maps.double().numpy()):
        for d in range(1, 6):
            pairs = [
                cosine(image[:, y, x], image[:, y + dy, x + dx])
                for y in range(4) for x in range(6) for dy, dx in ((d, 0), (0, d))
                if y + dy < 4 and x + dx < 6
            ]  # fmt: skip
            assert found[b, d - 1].item() == pytest.approx(np.mean(pairs), abs=1e-9)


def test_similarity_tells_smooth_from_collapsed() -> None:
    angle = torch.linspace(0, math.pi / 2, 8).expand(8, 8)
    smooth = torch.stack([angle.cos(), angle.sin()])[None]
    near_to_far = similarity_by_distance(smooth)[0]
    assert (near_to_far.diff() < 0).all()
    collapsed = torch.ones(1, 2, 8, 8)
    assert similarity_by_distance(collapsed)[0].tolist() == pytest.approx([1] * 7)


def test_all_figures_of_maps() -> None:
    maps = torch.randn(3, 16, 4, 4)
    figures = token_figures(maps)
    tokens = maps.flatten(2).transpose(1, 2)
    assert list(figures) == [
        'token_diversity', 'token_diversity_layer_norm', 'token_diversity_centred', 'token_rank',
        'rank1_residual', 'similarity_1', 'similarity_2',
    ]  # fmt: skip
    assert all(values.shape == (3,) for values in figures.values())
    normed = (tokens - tokens.mean(-1, keepdim=True)) / tokens.std(-1, keepdim=True)
    after_norm = token_diversity(normed)
    assert torch.allclose(figures['token_diversity_layer_norm'], after_norm, atol=1e-6)
    assert torch.equal(figures['token_diversity'], token_diversity(tokens))
    assert torch.equal(figures['similarity_2'], similarity_by_distance(maps)[:, 1])
