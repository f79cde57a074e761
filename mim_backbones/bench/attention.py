"""Our attention with relative positions against a naive one: time, peak memory, and agreement.

Two kinds: ViTDet's decomposed positions, folded into the dot product, and an offset table (BEiT,
SimMIM) as additive mask. One layer, square grid, one image, float32.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from mim_backbones.backbones.layers.attention import Attention
from mim_backbones.backbones.layers.rel_pos_bias import RelPosBias
from mim_backbones.bench import naive_attention
from mim_backbones.bench.measure import paired_seconds, peak_mib

HEAD_DIM = 64
Call = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class AttentionRow:
    """One case. Times in seconds, memory in MiB on top of what was held before.

    Attributes:
        kernel: what `scaled_dot_product_attention` ran.
        speedup, memory_ratio: naive over ours (of the calls that took turns).
        score_mib: what one T x T matrix per head takes.
        peak_of_scores: our peak over that; below 1 there is no room for such a matrix.
        difference: largest difference between the two outputs.
    """

    positions: str
    tokens: int
    passes: str
    kernel: str
    seconds: float
    naive_seconds: float
    speedup: float
    peak_mib: float | None
    naive_peak_mib: float | None
    memory_ratio: float | None
    score_mib: float
    peak_of_scores: float | None
    difference: float


def measure(
    tokens: Sequence[int] = (1024, 4096),
    heads: int = 6,
    repeats: int = 3,
    device: str = 'cpu',
) -> Iterator[AttentionRow]:
    """Every case, in one process. About two minutes on one CPU thread.

    Raises:
        ValueError: a number of tokens that is no square.
    """
    for count in tokens:
        side = isqrt(count)
        if side * side != count:
            raise ValueError(f'--tokens {count}: no square number')
        for positions, ours, naive in _pairs((side, side), heads, device):
            for passes in ('forward', 'forward and backward'):
                yield _row(positions, count, passes, ours, naive, heads, repeats, device)


def _pairs(grid: tuple[int, int], heads: int, device: str) -> Iterator[tuple[str, Call, Call]]:
    dim = heads * HEAD_DIM
    torch.manual_seed(0)
    folded = Attention(dim, heads, decomposed_grid=grid).to(device)
    torch.nn.init.normal_(folded.rel_pos_h, std=0.1)
    torch.nn.init.normal_(folded.rel_pos_w, std=0.1)
    yield (
        'decomposed',
        lambda x: folded(x, grid=grid),
        lambda x: naive_attention.decomposed(folded, x, grid),
    )
    plain = Attention(dim, heads).to(device)
    bias = RelPosBias(grid, heads, cls_token=False).to(device)
    torch.nn.init.normal_(bias.relative_position_bias_table)
    yield (
        'offset table',
        lambda x: plain(x, bias(grid)),
        lambda x: naive_attention.relative(plain, bias, x, grid),
    )


def _row(
    positions: str,
    tokens: int,
    passes: str,
    ours: Call,
    naive: Call,
    heads: int,
    repeats: int,
    device: str,
) -> AttentionRow:
    x = torch.randn(1, tokens, heads * HEAD_DIM, device=device)
    with torch.no_grad():
        difference = float((ours(x) - naive(x)).abs().max())
    run, run_naive = (_pass(call, x, passes, device) for call in (ours, naive))
    peak, naive_peak = (peak_mib(call, device) for call in (run, run_naive))
    taken, naive_taken, speedup = paired_seconds(run, run_naive, repeats)
    score = heads * tokens**2 * x.element_size() / 2**20
    return AttentionRow(
        positions=positions,
        tokens=tokens,
        passes=passes,
        kernel=_kernel(run),
        seconds=taken,
        naive_seconds=naive_taken,
        speedup=speedup,
        peak_mib=peak,
        naive_peak_mib=naive_peak,
        memory_ratio=naive_peak / peak if peak and naive_peak else None,
        score_mib=score,
        peak_of_scores=None if peak is None else peak / score,
        difference=difference,
    )


def _pass(call: Call, x: Tensor, passes: str, device: str) -> Callable[[], None]:
    def run() -> None:
        if passes == 'forward':
            with torch.no_grad():
                call(x)
        else:
            call(x).sum().backward()
        if device != 'cpu':
            torch.cuda.synchronize()

    return run


def _kernel(call: Callable[[], None]) -> str:
    """Name of the attention kernel that ran, without the words all have in common."""
    with profile(activities=[ProfilerActivity.CPU]) as record:
        call()
    prefix = 'aten::_scaled_dot_product_'
    names = {event.key for event in record.key_averages() if event.key.startswith(prefix)}
    forward = sorted(name.removeprefix(prefix) for name in names if 'backward' not in name)
    return ', '.join(name.removesuffix('_for_cpu') for name in forward) or 'unknown'
