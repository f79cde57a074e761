"""The report as Markdown, its pictures in a folder beside it."""

import re
from collections.abc import Iterator, Sequence

from downstream.report.comparison import ScoreRow, ScoreTable
from downstream.report.content import Degradation, Report, Section
from downstream.report.draw.pictures import Picture
from downstream.report.formats import degradation_text as corrupted
from downstream.report.formats import shift_text as shifted
from downstream.report.formats import wording as say
from downstream.report.read.provenance import TextTable

FOLDER = 'figures'


def render_markdown(report: Report) -> tuple[str, dict[str, bytes]]:
    """The text, and the pictures it shows by their path beside it."""
    figures: dict[str, bytes] = {}
    blocks = [f'# {plain(report.title)}', _headline(report)]
    blocks += [plain(_legend(report)), plain(_evaluated(report))]
    blocks += [f'**Tier {tier}** means {meaning}' for tier, meaning in report.tiers.items()]
    if report.beside is not None:
        blocks += [f'## {report.beside.title}', plain(report.beside.legend)]
        blocks += [_text_table(report.beside.table)]
    for section in report.sections:
        blocks += _section(section, figures)
    if report.pictures:
        blocks += ['## Pictures', *_pictures('picture', report.pictures, figures)]
    blocks += ['## Cost', _text_table(report.costs)]
    if report.published is not None:
        blocks += ['## Reported elsewhere', _published(report)]
    tables = (report.machines, report.runs, report.versions)
    blocks += ['## Provenance', *(_text_table(table) for table in tables if table.rows)]
    return '\n\n'.join(block for block in blocks if block) + '\n', figures


def headline_cell(row: ScoreRow | None, metric: str, before_change: str = ' ') -> str:
    """'41.2 [39.1, 43.0] ▲ +5.1'."""
    if row is None:
        return say.NOTHING
    score, difference = row.scores[metric], row.differences.get(metric)
    text = f'{say.number(score.value, 1)} {say.bounds(score.interval, 1)}'.rstrip()
    if difference is None:
        return text
    return f'{text}{before_change}{say.marked(difference, 1)}'


def _headline(report: Report) -> str:
    header = ['checkpoint'] + [
        f'{table.group.title}: {table.group.metric_name(metric)}'
        for table, metric in report.columns
    ]
    rows = [
        [label, *(headline_cell(report.row(t, label), metric) for t, metric in report.columns)]
        for label in report.labels
    ]
    return _table(header, rows)


def _legend(report: Report) -> str:
    text = say.legend(report.tables, report.baselines)
    if len(report.tables) > 1:
        text += ' Columns are not to be compared with each other.'
    if report.split_tasks:
        text += (
            f' Results of {", ".join(report.split_tasks)} were made under more than one protocol, '
            'version, option or data set; no difference is taken between those.'
        )
    return text


def _evaluated(report: Report) -> str:
    parts = [report.dates, f'on {"; ".join(report.hardware)}' if report.hardware else '']
    return f'Evaluated {" ".join(part for part in parts if part)}.' if any(parts) else ''


def _section(section: Section, figures: dict[str, bytes]) -> Iterator[str]:
    table = section.table
    group = table.group
    title = plain(group.title)
    yield f'## {title}'
    path = f'{FOLDER}/{group.slug}.png'
    figures[path] = section.chart_png
    yield f'![{title}]({path})'
    header = ['checkpoint', 'seeds', *(group.metric_name(metric) for metric in group.metrics)]
    yield _table(header, [_score_cells(row, group.metrics) for row in table.rows])
    yield plain(say.table_note(table))
    if table.baselines:
        header = ['checkpoint', 'metric', 'difference', '95 % interval', 'over', 'p', 'reading']
        yield _table(header, list(_difference_rows(table)))
    elif table.units is not None:
        yield 'No baseline in this group, so no differences.'
    for count, found in enumerate(section.degradations, start=1):
        yield from _degradation(found, f'{group.slug}-corrupted-{count}', figures)
    if section.shifts is not None:
        yield '### Further test sets'
        yield _text_table(shifted.table_of(section.shifts))
        yield plain(shifted.LEGEND)
    yield from _pictures(group.slug, section.pictures, figures)


def _degradation(found: Degradation, stem: str, figures: dict[str, bytes]) -> Iterator[str]:
    table = found.table
    yield '### Under corruption'
    path = f'{FOLDER}/{stem}.png'
    figures[path] = found.chart_png
    yield f'![Scores over severity]({path})'
    yield _text_table(corrupted.summary_table(table))
    yield plain(corrupted.legend(table))
    yield f'{plain(corrupted.kept_title(table))}:'
    yield _text_table(corrupted.corruption_table(table))


def _score_cells(row: ScoreRow, metrics: Sequence[str]) -> list[str]:
    cells = [row.system.label, ', '.join(str(run.result.seed) for run in row.system.runs)]
    for score in (row.scores[metric] for metric in metrics):
        spread = '' if score.spread is None else f'seeds ± {say.number(score.spread)}'
        parts = (say.number(score.value), say.bounds(score.interval), spread)
        cells.append(' '.join(part for part in parts if part))
    return cells


def _difference_rows(table: ScoreTable) -> Iterator[list[str]]:
    unit = table.group.unit
    for row in table.rows:
        for metric, found in row.differences.items():
            yield [
                f'{row.system.label} minus {row.baseline}',
                table.group.metric_name(metric),
                say.marked(found),
                say.bounds(found),
                say.covers(found, unit),
                say.p_value(found),
                say.verdict(found, unit),
            ]


def _pictures(stem: str, pictures: Sequence[Picture], figures: dict[str, bytes]) -> Iterator[str]:
    for count, picture in enumerate(pictures, start=1):
        path = f'{FOLDER}/{stem}-{count}{picture.suffix}'
        figures[path] = picture.content
        title = plain(picture.title)
        yield f'![{title}]({path})\n*{title}*'


def _published(report: Report) -> str:
    if not report.published:
        return 'No published number was obtained under a protocol of this report.'
    header = ['method', 'architecture', 'framework', 'metric', 'reported', 'here minus reported',
              'source']  # fmt: skip
    rows = [
        [r.method, r.arch, r.framework, r.metric, say.number(r.value),
         say.NOTHING if r.difference is None else say.signed(r.difference), r.source]
        for r in report.published
    ]  # fmt: skip
    note = (
        'None of these was measured here; a difference says something only where the data are the '
        'framework’s own too.'
    )
    return f'{note}\n\n{_table(header, rows)}'


def _text_table(table: TextTable) -> str:
    return _table(table.header, table.rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ['---'] * len(header), *rows]
    return '\n'.join(
        '| ' + ' | '.join(plain(cell).replace('|', '\\|') for cell in line) + ' |' for line in lines
    )


def plain(text: str) -> str:
    """Text of a result as Markdown that shows it: no tag, link, emphasis or line of its own."""
    text = ' '.join(text.split()).replace('<', '&lt;').replace('](', ']\\(')
    return re.sub(r'([`*])', r'\\\1', text)
