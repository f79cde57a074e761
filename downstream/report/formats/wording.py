"""How metrics, numbers and costs read in a report, the same in every format."""

import math
from collections.abc import Sequence

from downstream.results.bootstrap import Difference, Interval

METRICS = {
    'box_mAP': 'box AP',
    'box_mAP_50': 'box AP50',
    'mask_mAP': 'mask AP',
    'mask_mAP_50': 'mask AP50',
    'P_norm': 'P norm',
}
COSTS = {
    'seconds': 'total, s',
    'train_seconds': 'training, s',
    'eval_seconds': 'evaluation, s',
    'peak_memory_mib': 'peak memory, MiB',
    'train_images_per_second': 'training, images/s',
}
UNITS = {'detection': 'images', 'segmentation': 'images', 'tracking': 'sequences'}
TIERS = {
    'smoke': 'minutes on a CPU: little data, few steps, small pictures. It shows that everything '
    'works and how the checkpoints here rank against each other; its numbers are not '
    'comparable with any paper.',
    'proxy': 'about an hour on one GPU: a small copy of the full recipe. It ranks checkpoints; its '
    'numbers are not comparable with any paper.',
    'full': 'the papers’ own recipe, on the whole data set: comparable with published numbers of '
    'the same framework.',
}
NOTHING = '–'


def metric_name(metric: str) -> str:
    return METRICS.get(metric, metric)


def cost_name(key: str) -> str:
    return COSTS.get(key, key.replace('_', ' '))


def number(value: float | None, digits: int = 2) -> str:
    """'41.25', with a real minus sign; a dash for what is not known."""
    if value is None or math.isnan(value):
        return NOTHING
    return f'{value:.{digits}f}'.replace('-', '−')


def signed(value: float, digits: int = 2) -> str:
    return number(value, digits) if value < 0 else f'+{number(value, digits)}'


def bounds(interval: Interval | None, digits: int = 2) -> str:
    """'[39.10, 43.00]'; empty without an interval."""
    if interval is None:
        return ''
    text = signed if isinstance(interval, Difference) else number
    return f'[{text(interval.low, digits)}, {text(interval.high, digits)}]'


def verdict(difference: Difference) -> str:
    if not difference.clear_of_zero:
        return 'not clear of zero'
    return 'above, clear of zero' if difference.low > 0 else 'below, clear of zero'


def mark(difference: Difference) -> str:
    """One character: above, below, or not told apart from the baseline."""
    if not difference.clear_of_zero:
        return '○'
    return '▲' if difference.low > 0 else '▼'


def against(baselines: Sequence[str]) -> str:
    """What differences are taken to."""
    return baselines[0] if len(baselines) == 1 else 'the baseline'


def intervals_note(units: int, task: str, seeds: int) -> str:
    """What the intervals of a table draw from, and what they leave out.

    seeds: the most that any row has.
    """
    text = f'Intervals: 95 %, over {units} {UNITS[task]}'
    if seeds == 1:
        return f'{text}. One training each: how far another seed would end from it is not in them.'
    return (
        f'{text}, seeds averaged on each draw; the standard deviation over seeds is a second, '
        'separate uncertainty.'
    )


def p_value(value: float, resamples: int) -> str:
    """The smallest value a bootstrap can state is the one of its number of draws."""
    floor = 2 / (resamples + 1)
    return f'< {2 * floor:.2g}' if value <= floor else f'{value:.2g}'


def cost(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.1f}'
