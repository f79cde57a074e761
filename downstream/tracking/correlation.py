"""Where a search crop looks like the template: a map for each token of the template.

    c_ts = <z_t, x_s> / (|z_t| |x_s|), standardised over s

The pixel-wise correlation of Alpha-Refine (arXiv 2012.06815) with cosines. A head that
reads it need not learn to compare before it learns to locate.
"""

import torch.nn.functional as F
from torch import Tensor


def correlation(template: Tensor, search: Tensor) -> Tensor:
    """(B, N, D) and (B, M, D) -> (B, N, M), over M of mean 0 and standard deviation 1."""
    alike = F.normalize(template, dim=-1) @ F.normalize(search, dim=-1).transpose(1, 2)
    return F.layer_norm(alike, alike.shape[-1:], eps=1e-4)
