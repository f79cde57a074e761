"""The most similar rows of a bank of features, and the classes they vote for; nothing is learnt.

    score(query, c) = sum over its k nearest n of class c of  softmax_n(f_query . f_n / temperature)

Features are of unit length. Weights of exp(similarity / temperature) as in instance discrimination
(arXiv 1805.01978, section 3.4) and DINO's evaluation (arXiv 2104.14294): k 20, temperature 0.07.
Dividing them by their sum changes no winner.
"""

import torch
from torch import Tensor

QUERIES, CHUNK = 2048, 2**16  # rows compared at a time: (2048, 65536) similarities
# Whether torch multiplies bf16 into float32, which is CUDA's own way.
WIDE_PRODUCTS = tuple(map(int, torch.__version__.split('.')[:2])) >= (2, 8)


def knn_scores(
    queries: Tensor,
    bank: Tensor,
    labels: Tensor,
    classes: int,
    neighbours: int = 20,
    temperature: float = 0.07,
) -> Tensor:
    """Queries (Q, D) and bank (N, D) of unit length -> (Q, classes) float32, rows sum to 1.

    Args:
        labels: (N,) int64, of the bank.
        neighbours: k; all of a smaller bank.
    """
    parts = []
    for some in queries.split(QUERIES):
        near, rows = nearest(some, bank, neighbours)
        parts.append(votes(near, labels[rows], classes, temperature))
    return torch.cat(parts) if parts else torch.zeros(0, classes, device=queries.device)


def votes(near: Tensor, labels: Tensor, classes: int, temperature: float) -> Tensor:
    """Similarities and labels (Q, k) of the nearest -> (Q, classes) float32, rows sum to 1."""
    weights = (near / temperature).softmax(1)
    return weights.new_zeros(len(near), classes).scatter_add_(1, labels, weights)


def nearest(queries: Tensor, bank: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` most similar rows of the bank: similarities and rows, (Q, count) each.

    The bank is gone through in chunks, so that (Q, N) similarities are never in memory. Queries
    are compared in the bank's type.
    """
    queries = queries.to(bank.dtype)
    best = queries.new_zeros(len(queries), 0, dtype=torch.float32)
    rows = best.long()
    for start in range(0, len(bank), CHUNK):
        near, at = similarities(queries, bank[start : start + CHUNK]).topk(
            min(count, len(bank) - start, CHUNK)
        )
        best, order = torch.cat([best, near], 1).topk(min(count, best.shape[1] + near.shape[1]))
        rows = torch.cat([rows, at + start], 1).gather(1, order)
    return best, rows


def similarities(queries: Tensor, bank: Tensor) -> Tensor:
    """(Q, D) and (N, D) of one type -> products (Q, N) float32.

    With products in bf16 thousands of rows would be equally near: only the factors are rounded.
    """
    if queries.dtype == torch.bfloat16 and queries.is_cuda and WIDE_PRODUCTS:
        return torch.mm(queries, bank.T, out_dtype=torch.float32)
    return queries.float() @ bank.float().T
