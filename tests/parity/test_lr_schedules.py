"""Learning rates of the published schedules, update by update."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mim_backbones.registry import PARAM_SCHEDULERS

ROOT = Path(__file__).parents[2]
PUBLISHED = {'one_step_late': True, 'scale_ends': False}


def rates(peaks: list[float], updates: int, **schedule: Any) -> list[list[float]]:
    """The rate of every group at updates 0, 1, ...; the last group has the undecayed peak."""
    whole = max(peaks)
    groups = [
        {'params': [torch.nn.Parameter(torch.zeros(1))], 'lr': peak, 'lr_scale': peak / whole}
        for peak in peaks
    ]
    optimizer = torch.optim.SGD(groups, lr=whole)
    scheduler = PARAM_SCHEDULERS.build({**schedule, 'optimizer': optimizer})
    found = []
    for _ in range(updates):
        found.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return found


def per_update(golden: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((key, case) for key, case in golden.items() if 'lr_after_step_update' in case)


def after_updates(case: dict[str, Any]) -> dict[int, list[float]]:
    """update -> rates: what step_update(t) sets is what update t + 1 takes."""
    known = {int(t) + 1: values for t, values in case['lr_after_step_update'].items()}
    return {0: case['lr_before_first_update'], **known}


def minimum(case: dict[str, Any], total: int) -> float:
    """The lowest rate, which the file does not state: the last value it holds gives it away."""
    last = max(int(t) for t in case['lr_after_step_update'])
    value, peak = case['lr_after_step_update'][str(last)][0], case['group_peak_lrs'][0]
    share = (1 + math.cos(math.pi * last / total)) / 2
    return (value - peak * share) / (1 - share)


def schedule_of(key: str, case: dict[str, Any]) -> dict[str, Any]:
    """Our scheduler's arguments from what the file records."""
    length, peak = case['iters_per_epoch'], max(case['group_peak_lrs'])
    common = {
        'warmup': case['warmup_epochs'],
        'start_ratio': case['lr_before_first_update'][0] / peak,
        'end': case['epochs'],
        'convert_to_iter_based': True,
        'epoch_length': length,
        **PUBLISHED,
    }
    if 'cosine' in key:
        least = minimum(case, length * case['epochs'])
        kind = {'type': 'WarmupCosineLR', 'drop_after_warmup': True, 'min_ratio': least / peak}
        return {**kind, **common}
    after_warmup = {
        int(t): values[0]
        for t, values in case['lr_after_step_update'].items()
        if int(t) >= length * case['warmup_epochs']
    }
    lower = {t: value for t, value in after_warmup.items() if value < 0.99 * peak}
    assert lower, f'{key}: no step'
    first = min(lower)
    gamma = round(lower[first] / peak, 6)
    return {
        'type': 'WarmupMultiStepLR', 'milestones': [first // length], 'gamma': gamma, **common
    }  # fmt: skip


@pytest.mark.golden('lr_schedules')
def test_simmim(golden) -> None:
    for key, case in per_update(golden):
        found = rates(
            case['group_peak_lrs'],
            case['iters_per_epoch'] * case['epochs'],
            **schedule_of(key, case),
        )
        for update, expected in after_updates(case).items():
            if update < len(found):
                assert found[update] == pytest.approx(expected, rel=1e-9), (key, update)


RECIPES = {
    r'simmim_pretrain_100ep_cosine': 'configs/pretrain/simmim.py',
    r'simmim_pretrain_800ep_multistep': 'configs/pretrain/simmim_swin-b_800e.py',
    r'simmim_finetune_100ep_cosine': 'configs/downstream/classification/'
    'classifier_swin-b_simmim-pre_100e_in1k-224.py',
}


@pytest.mark.golden('lr_schedules')
def test_the_recipes_have_the_published_curves(golden) -> None:
    for key, case in per_update(golden):
        recipe = next((path for name, path in RECIPES.items() if re.match(name, key)), None)
        if recipe is None:
            continue
        cfg = Config.fromfile(ROOT / recipe)
        (schedule,) = cfg.param_scheduler
        schedule = {**schedule, 'end': cfg.train_cfg.max_epochs}
        peaks = case['group_peak_lrs']
        assert cfg.optim_wrapper.optimizer.lr == pytest.approx(max(peaks))
        length = case['iters_per_epoch']
        found = rates(peaks, length * case['epochs'], epoch_length=length, **schedule)
        for update, expected in after_updates(case).items():
            if update < len(found):
                assert found[update] == pytest.approx(expected, rel=1e-9), (key, update)


@pytest.mark.golden('lr_schedules')
def test_mae_restarts_its_cosine_after_the_warm_up(golden) -> None:
    for key, case in golden.items():
        if 'epoch_to_lr' not in case:
            continue
        args, curve = case['args'], case['epoch_to_lr']
        # Fractions of an epoch are updates of an epoch long enough to have them all.
        length = next(
            n for n in range(1, 1001)
            if all(abs(float(t) * n - round(float(t) * n)) < 1e-6 for t in curve)
        )  # fmt: skip
        scales = [float(s) for s in re.findall(r'(?<=_)[\d.]+(?=_|$)', key.partition('scale')[2])]
        found = rates(
            [args['lr'] * scale for scale in scales],
            length * args['epochs'],
            type='WarmupCosineLR',
            warmup=args['warmup_epochs'],
            min_ratio=args['min_lr'] / args['lr'],
            end=args['epochs'],
            convert_to_iter_based=True,
            epoch_length=length,
        )
        for epoch, expected in curve.items():
            update = round(float(epoch) * length)
            if update < len(found):
                assert found[update] == pytest.approx(expected, rel=1e-7, abs=1e-16), (key, epoch)


RELEASED = {'beit_': 'beit.py', 'beitv2_': 'beitv2.py', 'vqkd_': 'vqkd.py'}


def line_and_cosine(content: dict[str, Any]) -> list[str]:
    return [key for key, case in content.items() if 'update_to_lr' in case]


@pytest.mark.golden('lr_schedules', each=line_and_cosine)
def test_beit_takes_the_peak_within_the_warm_up(golden, field) -> None:
    """BEiT's cosine_scheduler, and the recipes of those that use it."""
    args, curve = golden[field]['args'], golden[field]['update_to_lr']
    peak, length = args['base_value'], args['niter_per_ep']
    schedule = {'type': 'WarmupCosineLR', 'peak_in_warmup': True, 'convert_to_iter_based': True}
    for name, recipe in RELEASED.items():
        if field.startswith(name):
            (schedule,) = Config.fromfile(ROOT / 'configs/pretrain' / recipe).param_scheduler
    lengths = {'warmup': args['warmup_epochs'], 'end': args['epochs'], 'epoch_length': length}
    schedule = {**schedule, **lengths, 'min_ratio': args['final_value'] / peak}
    found = rates([peak], length * args['epochs'], **schedule)
    for update, expected in curve.items():
        assert found[int(update)] == pytest.approx([expected], rel=1e-9), update
