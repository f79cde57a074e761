"""How different the tokens of an image are, a number for each image.

    u_i = t_i / |t_i|     diversity = 1 - mean of u_i . u_j over i != j
                                    = 1 - (|sum of u_i|^2 - N) / (N (N - 1))

The right-hand form takes O(N C) and no N x N table. The word is that of arXiv 2304.12535
(abstract); a formula was not published, the cosine is our reading of "feature dissimilarity among
different tokens". 0: all tokens alike; 1: orthonormal ones; at most N / (N - 1). Pairs of a token
with itself are left out; with them it would be (N - 1) / N times as much.

It is a figure of exactly the tensor it is given: interpolated or normalised features have another
one. CLS and registers are no tokens here. All is computed in float64, whatever comes in.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def token_diversity(tokens: Tensor) -> Tensor:
    """tokens (B, N, C) -> (B,) float64; a token of zeros counts as orthogonal to all.

    Raises:
        ValueError: fewer than two tokens.
    """
    count = tokens.shape[-2]
    if count < 2:
        raise ValueError(f'token_diversity: {count} token for an image, it takes two')
    unit = F.normalize(tokens.double(), dim=-1)
    own = unit.square().sum((-2, -1))  # N, less a token of zeros
    return 1 - (unit.sum(-2).square().sum(-1) - own) / (count * (count - 1))


def centred(tokens: Tensor) -> Tensor:
    """tokens (B, N, C) without the mean token of their image, float64."""
    tokens = tokens.double()
    return tokens - tokens.mean(-2, keepdim=True)


def rank1_residual(tokens: Tensor) -> Tensor:
    """What is left of X (B, N, C) without its mean token, |X - 1 mean^T| / |X|: (B,), 0 to 1.

    Frobenius norms, for which the mean is the best single row; 0 for an X of zeros. The residual of
    arXiv 2103.03404, which takes another norm.
    """
    whole = tokens.double().norm(dim=(-2, -1))
    return centred(tokens).norm(dim=(-2, -1)) / whole.clamp(min=torch.finfo(torch.double).tiny)


def effective_rank(rows: Tensor) -> Tensor:
    """exp of the entropy of the normalised singular values of each (N, C): (..., N, C) -> (...).

    As RankMe has it (arXiv 2210.02885, there with an epsilon), rows not centred: from 1, all rows
    parallel, to min(N, C); 0 for rows of zeros. Of an image's tokens, or of pooled features.

    The singular values are the roots of the eigenvalues of the smaller Gram matrix, which in
    float64 is accurate to 1e-8 of the largest, and on a GPU many times quicker than an SVD.
    """
    rows = rows.double()
    tall = rows.shape[-2] > rows.shape[-1]
    gram = rows.mT @ rows if tall else rows @ rows.mT
    values = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    total = values.sum(-1, keepdim=True)
    shares = values / total.clamp(min=torch.finfo(torch.double).tiny)
    return torch.special.entr(shares).sum(-1).exp() * (total.squeeze(-1) > 0)


def similarity_by_distance(maps: Tensor) -> Tensor:
    """Mean cosine of tokens that lie 1, 2, ... cells apart in a row or a column.

    Tells features that are locally smooth (falls with the distance) from collapsed ones (does not).
    By shifts of the map, O(N C) for each distance and no N x N table.

    maps: (B, C, H, W) of two tokens or more -> (B, max(H, W) - 1) float64, neighbours first.
    """
    unit = F.normalize(maps.double(), dim=1)
    height, width = maps.shape[-2:]
    means = []
    for d in range(1, max(height, width)):
        down = (unit[:, :, d:] * unit[:, :, : max(height - d, 0)]).sum(1).flatten(1)
        across = (unit[..., d:] * unit[..., : max(width - d, 0)]).sum(1).flatten(1)
        means.append(torch.cat([down, across], 1).mean(1))
    return torch.stack(means, 1)


def token_figures(maps: Tensor) -> dict[str, Tensor]:
    """Every figure of maps (B, C, H, W), (B,) float64 each.

        token_diversity               as they are
        token_diversity_layer_norm    after a LayerNorm without weights
        token_diversity_centred       without the image's mean token
        token_rank, rank1_residual    of the image's tokens
        similarity_1, _2, _4, ...     of tokens so many cells apart

    Raises:
        ValueError: maps of one token.
    """
    tokens = maps.flatten(2).mT.double()
    figures = {
        'token_diversity': token_diversity(tokens),
        'token_diversity_layer_norm': token_diversity(F.layer_norm(tokens, tokens.shape[-1:])),
        'token_diversity_centred': token_diversity(centred(tokens)),
        'token_rank': effective_rank(tokens),
        'rank1_residual': rank1_residual(tokens),
    }
    apart = similarity_by_distance(maps)
    distances = [2**k for k in range(apart.shape[1].bit_length())]
    return figures | {f'similarity_{d}': apart[:, d - 1] for d in distances}
