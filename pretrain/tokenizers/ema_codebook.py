"""The codebook of VQ-KD: unit vectors that follow what is assigned to them.

    id = argmax_k z.e_k    m_k = unit(sum of the z assigned to k)    e_k <- unit(d e_k + (1-d) m_k)

paper: arXiv 2208.06366, section 2.1; van den Oord et al., arXiv 1711.00937, appendix A.1
Source of the details: microsoft/unilm beit2, norm_ema_quantizer.py. There each process starts its
codebook from its own k-means, so that row k means something else on each of them; here the start
and every step are those of the whole batch, on all processes alike.
"""

from typing import Any, NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import broadcast
from torch import Tensor

from pretrain.tokenizers.clustering import (
    choose_vectors,
    gather_by_code,
    nearest_codes,
    spherical_kmeans,
)


class Quantized(NamedTuple):
    """vectors (..., C) float32, straight-through; ids (...) int64; loss, a scalar."""

    vectors: Tensor
    ids: Tensor
    loss: Tensor


class EMACodebook(nn.Module):
    """Nearest of K unit vectors. Learns in train mode only; float32 whatever the autocast.

    Args:
        codes: K.
        dim: C, width of a code.
        decay: d, share of the old code in the new one. Each code with at least one vector moves,
            however many vectors it got.
        beta: weight of the commitment loss, beta * mean (z - sg[e])^2 over all elements, channels
            too: 1/C of the squared norm in the paper.
        kmeans_start: the first training batch is clustered; else the codes start at random.
        kmeans_iterations: of that clustering.
        reseed_after: a code without a vector for this many steps is put on a random vector of
            the batch; None: never, as published.
        seed: of the random start and of reseeding.

    Buffers beside the codebook (K, C): `usage` (K,) float32, average of the counts per step with
    the same decay; `hits` (K,) int64, counts since the last `reset_hits`; `idle` (K,) int64,
    steps since a code's last vector; `steps`, how many there were; `started`.

    Raises:
        ValueError: a size below 1, or decay outside [0, 1).
    """

    codebook: Tensor
    usage: Tensor
    hits: Tensor
    idle: Tensor
    steps: Tensor
    started: Tensor

    def __init__(
        self,
        codes: int = 8192,
        dim: int = 32,
        decay: float = 0.99,
        beta: float = 1.0,
        kmeans_start: bool = True,
        kmeans_iterations: int = 10,
        reseed_after: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = {'codes': codes, 'dim': dim, 'kmeans_iterations': kmeans_iterations}
        for name, value in {**sizes, 'reseed_after': reseed_after or 1}.items():
            if value < 1:
                raise ValueError(f'EMACodebook: {name} is {value}, it must be at least 1')
        if not 0 <= decay < 1:
            raise ValueError(f'EMACodebook: decay is {decay}, it must be in [0, 1)')
        self.decay = decay
        self.beta = beta
        self.kmeans_start = kmeans_start
        self.kmeans_iterations = kmeans_iterations
        self.reseed_after = reseed_after
        self.seed = seed
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randn(codes, dim, generator=generator)
        self.register_buffer('codebook', F.normalize(rows, dim=1))
        self.register_buffer('usage', torch.zeros(codes))
        self.register_buffer('hits', torch.zeros(codes, dtype=torch.int64))
        self.register_buffer('idle', torch.zeros(codes, dtype=torch.int64))
        self.register_buffer('steps', torch.zeros((), dtype=torch.int64))
        self.register_buffer('started', torch.tensor(not kmeans_start))
        self._agreed = False  # whether this run has compared notes with the other processes

    def forward(self, z: Tensor) -> Quantized:
        """z (..., C), of any length and dtype."""
        with torch.autocast(z.device.type, enabled=False):
            if self.training and not self._agreed:
                self.start(z)
            z = F.normalize(z.float(), dim=-1)
            flat = z.detach().flatten(0, -2)
            ids = nearest_codes(flat, self.codebook)
            codes = self.codebook[ids].view_as(z)
            if self.training:
                self._learn(flat, ids)
            loss = self.beta * F.mse_loss(z, codes)
            return Quantized(z + (codes - z).detach(), ids.view(z.shape[:-1]), loss)

    def encode(self, z: Tensor) -> Tensor:
        """z (..., C) -> ids (...) int64. Learns nothing, counts nothing, in either mode."""
        with torch.autocast(z.device.type, enabled=False):
            flat = F.normalize(z.detach().float(), dim=-1).flatten(0, -2)
            return nearest_codes(flat, self.codebook).view(z.shape[:-1])

    @torch.no_grad()
    def start(self, z: Tensor) -> None:
        """Once in a run: k-means of z (..., C) if it is due, then rank 0's codebook for all."""
        if not self.started:
            with torch.autocast(z.device.type, enabled=False):
                z = F.normalize(z.float(), dim=-1).flatten(0, -2)
                first = choose_vectors(z, len(self.codebook), self.seed)
                means, _ = spherical_kmeans(z, first, self.kmeans_iterations)
            self.codebook.copy_(means)
            self.started.fill_(True)
        broadcast(self.codebook)
        self._agreed = True

    @torch.no_grad()
    def _learn(self, z: Tensor, ids: Tensor) -> None:
        sums, counts = gather_by_code(z, ids, len(self.codebook))
        hit = counts > 0
        old = self.codebook.double()
        mean = torch.where(hit[:, None], F.normalize(sums, dim=1), old)
        self.codebook.copy_(F.normalize(self.decay * old + (1 - self.decay) * mean, dim=1))
        self.usage.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        self.hits += counts
        self.idle.copy_(torch.where(hit, 0, self.idle + 1))
        self.steps += 1
        if self.reseed_after is not None:
            self._reseed(z, self.reseed_after)

    @torch.compiler.disable  # how many are reseeded is in the data: a graph is cut here
    def _reseed(self, z: Tensor, after: int) -> None:
        dead = self.idle >= after
        count = int(dead.sum())
        if count:
            seed = (self.seed + 1) * 1_000_003 + int(self.steps)  # the same on all processes
            self.codebook[dead] = choose_vectors(z, count, seed)
            self.idle[dead] = 0

    def reset_hits(self) -> None:
        """Start counting anew."""
        self.hits.zero_()

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._agreed = False
