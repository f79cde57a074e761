"""mmcv's ops as this installation computes them: time, peak memory, and how much faster than naive.

Sizes are those of a Mask R-CNN step on 1024 px: RoIAlign of 512 boxes on 256 x 64 x 64.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from mim_backbones import standins
from mim_backbones.bench import naive_ops
from mim_backbones.bench.measure import peak_mib, seconds

SCALE = 0.0625


@dataclass(frozen=True)
class Row:
    """One measured op. Times in seconds, memory in MiB, speedup: naive time over ours."""

    op: str
    case: str
    provider: str
    seconds: float
    peak_mib: float | None
    naive_seconds: float | None
    speedup: float | None


@dataclass(frozen=True)
class Case:
    op: str
    case: str
    call: Callable[[], object]
    naive: Callable[[], object] | None


def measure(repeats: int = 5) -> list[Row]:
    """Run every case on the CPU with the threads torch is set to. Takes about 15 seconds."""
    provider, rows = standins.provider(), []
    for case in _cases():
        peak = peak_mib(case.call)  # also warms up
        ours = seconds(case.call, repeats)
        theirs = seconds(case.naive, 1) if case.naive else None  # once: it can take seconds
        rows.append(
            Row(
                op=case.op,
                case=case.case,
                provider=provider[case.op],
                seconds=ours,
                peak_mib=peak,
                naive_seconds=theirs,
                speedup=theirs / ours if theirs else None,
            )
        )
    return rows


def _cases() -> Iterator[Case]:
    yield from _suppression()
    yield from _roi_align()
    if standins.provider()['sigmoid_focal_loss'] != 'mmcv compiled':  # it has none for the CPU
        yield from _focal_loss()


def _suppression() -> Iterator[Case]:
    from mmcv.ops import batched_nms, nms, soft_nms

    random = torch.Generator().manual_seed(0)
    corner = torch.rand(9000, 2, generator=random) * 900
    boxes = torch.cat((corner, corner + torch.rand(9000, 2, generator=random) * 120), 1)
    scores = torch.rand(9000, generator=random)
    levels = torch.randint(0, 5, (9000,), generator=random)
    few, best = boxes[:2000], scores[:2000]
    yield Case(
        'nms',
        '2000 boxes',
        lambda: nms(few, best, 0.7),
        lambda: naive_ops.nms(few, best, 0.7),
    )
    yield Case(
        'nms',
        '9000 boxes of 5 levels',
        lambda: batched_nms(boxes, scores, levels, {'type': 'nms', 'iou_threshold': 0.7}),
        None,
    )
    yield Case('soft_nms', '500 boxes', lambda: soft_nms(boxes[:500], scores[:500], 0.3), None)


def _roi_align() -> Iterator[Case]:
    from mmcv.ops import roi_align

    random = torch.Generator().manual_seed(0)
    feature = torch.randn(2, 256, 64, 64, generator=random, requires_grad=True)
    size = 16 + torch.rand(512, 2, generator=random) ** 2 * 700
    corner = torch.rand(512, 2, generator=random) * (1024 - size)
    image = torch.randint(0, 2, (512, 1), generator=random)
    rois = torch.cat((image, corner, corner + size), 1)
    for ratio, name in ((2, 'sampling 2'), (0, 'adaptive')):

        def forward(ratio: int = ratio) -> torch.Tensor:
            return roi_align(feature, rois, (7, 7), SCALE, ratio, 'avg', True)

        def naive(ratio: int = ratio) -> torch.Tensor:
            return naive_ops.roi_align(feature, rois, 7, SCALE, ratio)

        yield Case('roi_align', f'forward, {name}', _no_grad(forward), _no_grad(naive))
        yield Case('roi_align', f'backward, {name}', _backward(forward()), _backward(naive()))


def _focal_loss() -> Iterator[Case]:
    from mmcv.ops import sigmoid_focal_loss

    random = torch.Generator().manual_seed(0)
    logits = torch.randn(20000, 80, generator=random, requires_grad=True)
    target = torch.randint(0, 81, (20000,), generator=random)
    yield Case(
        'sigmoid_focal_loss',
        'forward and backward, 20000 x 80',
        lambda: sigmoid_focal_loss(logits, target, 2.0, 0.25, None, 'mean').backward(),
        lambda: naive_ops.sigmoid_focal_loss(logits, target).backward(),
    )


def _no_grad(call: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    return torch.no_grad()(call)


def _backward(output: torch.Tensor) -> Callable[[], None]:
    grad = torch.ones_like(output)
    return lambda: output.backward(grad, retain_graph=True)
