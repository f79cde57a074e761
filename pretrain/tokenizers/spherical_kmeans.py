"""k-means on the unit sphere, over the vectors of all processes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pretrain.tokenizers.clustering import gather_by_code, nearest_codes


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
