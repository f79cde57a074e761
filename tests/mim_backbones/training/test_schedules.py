"""Curves by hand; the published ones are in tests/parity/test_lr_schedules.py."""

from typing import Any

import pytest
import torch

from mim_backbones.registry import PARAM_SCHEDULERS


def optimizer_of(*scales: float) -> torch.optim.Optimizer:
    """A group per scale, with peak 1.0 before scaling."""
    groups = [
        {'params': [torch.nn.Parameter(torch.zeros(1))], 'lr': scale, 'lr_scale': scale}
        for scale in scales
    ]
    return torch.optim.SGD(groups, lr=1.0)


def take(optimizer: torch.optim.Optimizer, scheduler: Any, updates: int) -> list[list[float]]:
    found = []
    for _ in range(updates):
        found.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return found


def curve(updates: int, scales: tuple[float, ...] = (1.0,), **schedule: Any) -> list[list[float]]:
    optimizer = optimizer_of(*scales)
    scheduler = PARAM_SCHEDULERS.build({**schedule, 'optimizer': optimizer})
    return take(optimizer, scheduler, updates)


COSINE = {'type': 'WarmupCosineLR', 'warmup': 2, 'start_ratio': 0.1, 'min_ratio': 0.2, 'end': 6}


def test_the_cosine_starts_at_the_peak_and_in_time() -> None:
    # After two steps of warm-up four of cosine: (1 + cos(k pi / 4)) / 2 of 0.8, above 0.2.
    expected = [0.1, 0.55, 1.0, 0.2 + 0.8 * 0.853553, 0.6, 0.2 + 0.8 * 0.146447]
    assert [rate for (rate,) in curve(6, **COSINE)] == pytest.approx(expected, abs=1e-6)


def test_the_switches_of_released_simmim() -> None:
    # Counted from the first step, 2 / 6 of the cosine have passed: (1 + cos(pi / 3)) / 2 = 3 / 4.
    dropped = [rate for (rate,) in curve(3, drop_after_warmup=True, **COSINE)]
    assert dropped == pytest.approx([0.1, 0.55, 0.8])
    late = [rate for (rate,) in curve(4, one_step_late=True, **COSINE)]
    assert late == pytest.approx([0.1, 0.1, 0.55, 1.0])
    shared = curve(3, (1.0, 0.5), scale_ends=False, **COSINE)
    assert shared == [pytest.approx(pair) for pair in ([0.1, 0.1], [0.55, 0.3], [1.0, 0.5])]
    own = curve(3, (1.0, 0.5), **COSINE)
    assert own == [pytest.approx(pair) for pair in ([0.1, 0.05], [0.55, 0.275], [1.0, 0.5])]


def test_the_peak_within_the_warm_up() -> None:
    # W = 3 updates from 0.1 to 1 and the peak once more; the cosine of 4 updates follows.
    four = {**COSINE, 'warmup': 3, 'end': 7}
    early = [rate for (rate,) in curve(5, peak_in_warmup=True, **four)]
    assert early == pytest.approx([0.1, 0.55, 1.0, 1.0, 0.2 + 0.8 * 0.853553], abs=1e-6)
    single = [rate for (rate,) in curve(2, peak_in_warmup=True, **{**COSINE, 'warmup': 1})]
    assert single == pytest.approx([0.1, 1.0])


def test_milestones_count_from_the_start_and_epochs_become_iterations() -> None:
    found = curve(
        10, type='WarmupMultiStepLR', milestones=[2, 4], gamma=0.1, warmup=1, end=5,
        convert_to_iter_based=True, epoch_length=2,
    )  # fmt: skip
    expected = [0, 0.5, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01]
    assert [rate for (rate,) in found] == pytest.approx(expected)


def test_a_resumed_schedule_goes_on_as_if_nothing_had_happened() -> None:
    whole = curve(6, **COSINE)
    first = optimizer_of(1.0)
    scheduler = PARAM_SCHEDULERS.build({**COSINE, 'optimizer': first})
    take(first, scheduler, 3)

    again = optimizer_of(1.0)
    resumed = PARAM_SCHEDULERS.build({**COSINE, 'optimizer': again})
    again.load_state_dict(first.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    assert take(again, resumed, 3) == whole[3:]


def test_a_training_may_end_within_its_warm_up() -> None:
    short = {**COSINE, 'warmup': 8, 'end': 2}
    assert [rate for (rate,) in curve(2, **short)] == pytest.approx([0.1, 0.1 + 0.9 / 8])
