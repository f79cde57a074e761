"""How numbers, intervals and costs read in a report, the same in every format."""

import math
from collections.abc import Iterable, Sequence

from downstream.report.comparison import ScoreTable
from downstream.results.interval import FEWEST_UNITS, Difference, Interval

COSTS = {
    'seconds': 'total, s',
    'train_seconds': 'training, s',
    'eval_seconds': 'evaluation, s',
    'corruption_seconds': 'evaluation under corruption, s',
    'peak_memory_mib': 'peak memory, MiB',
    'train_images_per_second': 'training, images/s',
}
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
    if interval is None or math.isnan(interval.low):
        return ''
    text = signed if isinstance(interval, Difference) else number
    return f'[{text(interval.low, digits)}, {text(interval.high, digits)}]'


def kind(difference: Difference) -> str:
    """'above', 'below', 'unclear', or 'undecided' where the interval may carry no mark."""
    if not difference.decides:
        return 'undecided'
    if not difference.clear_of_zero:
        return 'unclear'
    return 'above' if difference.low > 0 else 'below'


def mark(difference: Difference) -> str:
    """One character; empty where the interval does not cover what a mark would claim."""
    return {'above': '▲', 'below': '▼', 'unclear': '○', 'undecided': ''}[kind(difference)]


def marked(difference: Difference, digits: int = 2) -> str:
    """'▲ +5.12'."""
    return f'{mark(difference)} {signed(difference.value, digits)}'.lstrip()


def verdict(difference: Difference, unit: str) -> str:
    """The reading in words. unit: what the test set consists of, in the plural."""
    if not difference.covers_training:
        return 'no mark: one training on a side'
    if not difference.decides:
        return f'no mark: {difference.units} {unit}'
    return {
        'above': 'above, clear of zero',
        'below': 'below, clear of zero',
        'unclear': 'not clear of zero',
    }[kind(difference)]


def covers(interval: Interval, unit: str) -> str:
    """What else could have come out by the interval."""
    return f'{unit} and trainings' if interval.covers_training else f'{unit} only'


def against(baselines: Sequence[str]) -> str:
    """What differences are taken to."""
    return baselines[0] if len(baselines) == 1 else 'the baseline'


def legend(tables: Sequence[ScoreTable], baselines: Sequence[str]) -> str:
    """How to read the cells that sum a report up: only what occurs in it."""
    units = _either(table.group.unit for table in tables if table.units)
    text = 'Scores in percent, mean over the trainings (seeds).'
    if units:
        text += (
            f' In brackets the 95 % interval: over other test {units}, and over other trainings '
            'where a row has several.'
        )
    differences = [d for t in tables for row in t.rows for d in row.differences.values()]
    if any(difference.decides for difference in differences):
        text += (
            f' ▲ and ▼: the paired difference to {against(baselines)}, in points, is clear of zero '
            'in an interval that covers both; ○: it is not, the two cannot be told apart here.'
        )
    elif differences:
        text += f' Signed: the paired difference to {against(baselines)}, in points, without mark.'
    return ' '.join([text, *_missing(tables)])


def table_note(table: ScoreTable) -> str:
    """What the intervals of a table draw from, and what they leave out."""
    group = table.group
    if table.units is None:
        if group.known is None:
            return (
                f'The task {group.task!r} is not installed here, so nobody can read its scores per '
                'unit: no intervals and no paired differences. Install the package that brings it.'
            )
        return (
            f'These results came without scores of single {group.unit}: no intervals and no paired '
            'differences.'
        )
    over = f'{table.units} {group.unit}, halved at random {table.splits} times'
    text = f'95 % intervals over {over}'
    if table.trainings == {1}:
        text += '; of one training each: how far another seed would end is not in them.'
    else:
        text += (
            ', and over trainings where a row has several (Welch–Satterthwaite, '
            'after Obuchowski and Rockette)'
        )
        text += '; a row of one seed has the first part only.' if 1 in table.trainings else '.'
    return ' '.join([text, *_missing([table])])


def _missing(tables: Sequence[ScoreTable]) -> list[str]:
    """Sentences on marks that are absent."""
    sentences = []
    if any(table.lone_trainings for table in tables):
        sentences.append(
            'One training on a side: no mark, for the noise of training may be as large as the '
            'difference; run two more (mimbench eval --seed 0 --seed 1 --seed 2).'
        )
    few = [table for table in tables if table.too_few_units]
    if few:
        found = _either(f'{table.units} {table.group.unit}' for table in few)
        sentences.append(
            f'{found} are too few for a mark or a p-value: below {FEWEST_UNITS}, intervals miss '
            'the truth too often.'
        )
    return sentences


def _either(words: Iterable[str]) -> str:
    return ' or '.join(dict.fromkeys(words))


def p_value(difference: Difference) -> str:
    """Nothing where the interval does not cover what a p-value would claim."""
    if not difference.decides:
        return NOTHING
    return '< 0.001' if difference.p_value < 0.001 else f'{difference.p_value:.2g}'


def cost(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.1f}'
