"""Vectors -> codes, what each code gathered, and k-means of them, over all processes.

Everything here is float32 on unit vectors; autocast has to be off around it.
"""

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size
from torch import Tensor

SCORES = 2**24  # similarities held at a time: 64 MiB of float32


@torch.no_grad()
def nearest_codes(vectors: Tensor, codebook: Tensor) -> Tensor:
    """The most similar code of each vector, (N,) int64; of equally similar ones the first.

    vectors (N, C), codebook (K, C): float32, rows of length 1, so that the largest dot product is
    the smallest distance.
    """
    rows = max(1, SCORES // len(codebook))
    return torch.cat([(part @ codebook.T).argmax(1) for part in vectors.split(rows)])


@torch.no_grad()
def gather_by_code(vectors: Tensor, ids: Tensor, codes: int) -> tuple[Tensor, Tensor]:
    """Sums (K, C) float64 and counts (K,) int64 of the vectors of each code, over all processes.

    In float64 the sum of float32 unit vectors does not depend on their order, hence neither on
    how many processes share a batch nor on the order a GPU adds in.
    """
    count = torch.ones(len(vectors), 1, dtype=torch.float64, device=vectors.device)
    packed = torch.zeros(codes, vectors.shape[1] + 1, dtype=torch.float64, device=vectors.device)
    packed.index_add_(0, ids, torch.cat([vectors.double(), count], dim=1))
    all_reduce(packed)
    return packed[:, :-1], packed[:, -1].long()


@torch.no_grad()
def choose_vectors(vectors: Tensor, count: int, seed: int) -> Tensor:
    """A random `count` of the vectors (N, C) of all processes, (count, C), the same on each.

    Without replacement while there are enough. The choice depends on the vectors and the seed
    only: they are put in an order of their own (along a random direction), so that any number of
    processes chooses the same from the same batch.
    """
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(vectors.shape[1], dtype=torch.float64, generator=generator)
    place = torch.zeros(len(vectors), dtype=torch.float64)
    # Column by column: a matrix product may round a row differently for its place in the batch.
    for column, weight in zip(vectors.double().cpu().T, direction, strict=True):
        place += column * weight
    own, places = get_rank(), [place]
    if get_world_size() > 1:
        places = all_gather_object(place)
    order = torch.cat(places).argsort(stable=True)
    if len(order) >= count:
        chosen = order[torch.randperm(len(order), generator=generator)[:count]]
    else:
        chosen = order[torch.randint(len(order), (count,), generator=generator)]
    chosen = chosen - sum(len(p) for p in places[:own])  # places among this process's vectors
    here = (chosen >= 0) & (chosen < len(vectors))
    result = torch.zeros(count, vectors.shape[1], device=vectors.device)
    result[here.to(vectors.device)] = vectors[chosen[here].to(vectors.device)]
    all_reduce(result)
    return result


@torch.no_grad()
def spherical_kmeans(vectors: Tensor, means: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Move `means` to the middle of the vectors that are nearest to them.

    Source: microsoft/unilm beit2, norm_ema_quantizer.py, which runs it on each process alone;
    here every step sums over all processes. A mean that is nearest to nothing stays.

    Args:
        vectors: (N, C) float32 of length 1, this process's share.
        means: (K, C) float32 of length 1, the same on all processes.
        iterations: at least 1.

    Returns:
        means (K, C) float32 of length 1, and how many vectors each got in the last step, (K,)
        int64.
    """
    counts = torch.zeros(len(means), dtype=torch.int64, device=means.device)
    for _ in range(iterations):
        sums, counts = gather_by_code(vectors, nearest_codes(vectors, means), len(means))
        moved = F.normalize(sums, dim=1).float()
        means = torch.where((counts > 0)[:, None], moved, means)
    return means, counts
