"""The report as Markdown, its pictures in a folder beside it."""

from collections.abc import Iterator, Sequence

from downstream.report.comparison import Row, Table
from downstream.report.content import Content, Section
from downstream.report.draw.pictures import Picture
from downstream.report.formats import wording as say
from downstream.report.read.provenance import TextTable

FOLDER = 'figures'


def render_markdown(content: Content) -> tuple[str, dict[str, bytes]]:
    """The text, and the pictures it shows by their path beside it."""
    figures: dict[str, bytes] = {}
    blocks = [f'# {content.title}', _headline(content), _legend(content)]
    blocks += [f'**Tier {tier}** means {meaning}' for tier, meaning in content.tiers.items()]
    if content.beside is not None:
        blocks += ['## Reported by the work, beside ours', content.beside.legend]
        blocks += [_text_table(content.beside.table)]
    for section in content.sections:
        blocks += _section(section, figures)
    if content.pictures:
        blocks += ['## Pictures', *_pictures('picture', content.pictures, figures)]
    blocks += ['## Cost', _text_table(content.costs)]
    if content.published is not None:
        blocks += ['## Reported elsewhere', _published(content)]
    blocks += ['## Provenance', _text_table(content.runs), _text_table(content.versions)]
    return '\n\n'.join(blocks) + '\n', figures


def headline_cell(row: Row | None, metric: str, before_change: str = ' ') -> str:
    """'41.2 [39.1, 43.0] ▲ +5.1'."""
    if row is None:
        return say.NOTHING
    score, difference = row.scores[metric], row.differences.get(metric)
    text = f'{say.number(score.value, 1)} {say.bounds(score.interval, 1)}'.rstrip()
    if difference is None:
        return text
    return f'{text}{before_change}{say.mark(difference)} {say.signed(difference.mean, 1)}'


def headline_columns(content: Content) -> list[tuple[Table, str]]:
    """The (group, metric) pairs that sum the report up."""
    return [(table, metric) for table in content.tables for metric in table.group.headline_metrics]


def row_of(table: Table, label: str) -> Row | None:
    return next((row for row in table.rows if row.system.label == label), None)


def _headline(content: Content) -> str:
    columns = headline_columns(content)
    header = ['checkpoint'] + [
        f'{table.group.title}: {say.metric_name(metric)}' for table, metric in columns
    ]
    rows = [
        [label, *(headline_cell(row_of(table, label), metric) for table, metric in columns)]
        for label in content.labels
    ]
    return _table(header, rows)


def _legend(content: Content) -> str:
    text = (
        'Scores in percent with the 95 % interval of a bootstrap over the test images or sequences '
        f'({content.resamples} draws). ▲ ▼: the paired difference to '
        f'{say.against(content.baselines)}, in points, has an interval clear of zero; ○: it has '
        'not. Columns are not to be compared with each other.'
    )
    if content.split_tasks:
        text += (
            f' Results of {", ".join(content.split_tasks)} were made under more than one protocol, '
            'version or data set; no difference is taken between those.'
        )
    return text


def _section(section: Section, figures: dict[str, bytes]) -> Iterator[str]:
    table = section.table
    group = table.group
    yield f'## {group.title}'
    path = f'{FOLDER}/{group.slug}.png'
    figures[path] = section.chart_png
    yield f'![{group.title}]({path})'
    header = ['checkpoint', 'seeds', *(say.metric_name(metric) for metric in group.metrics)]
    yield _table(header, [_score_cells(row, group.metrics) for row in table.rows])
    if table.units is None:
        yield 'These results came without per-image scores: no intervals, no paired differences.'
    else:
        yield say.intervals_note(table.units, group.task, table.seeds)
    if table.baselines:
        header = ['checkpoint', 'metric', 'difference', '95 % interval', 'p', 'reading']
        yield _table(header, list(_difference_rows(table)))
    elif table.units is not None:
        yield 'No baseline in this group, so no differences.'
    yield from _pictures(group.slug, section.pictures, figures)


def _score_cells(row: Row, metrics: Sequence[str]) -> list[str]:
    cells = [row.system.label, ', '.join(str(run.result.seed) for run in row.system.runs)]
    for score in (row.scores[metric] for metric in metrics):
        spread = '' if score.spread is None else f'seeds ± {say.number(score.spread)}'
        parts = (say.number(score.value), say.bounds(score.interval), spread)
        cells.append(' '.join(part for part in parts if part))
    return cells


def _difference_rows(table: Table) -> Iterator[list[str]]:
    for row in table.rows:
        for metric, found in row.differences.items():
            yield [
                f'{row.system.label} minus {row.baseline}',
                say.metric_name(metric),
                f'{say.mark(found)} {say.signed(found.mean)}',
                say.bounds(found),
                say.p_value(found.p_value, found.resamples),
                say.verdict(found),
            ]


def _pictures(stem: str, pictures: Sequence[Picture], figures: dict[str, bytes]) -> Iterator[str]:
    for count, picture in enumerate(pictures, start=1):
        path = f'{FOLDER}/{stem}-{count}{picture.suffix}'
        figures[path] = picture.content
        yield f'![{picture.title}]({path})\n*{picture.title}*'


def _published(content: Content) -> str:
    if not content.published:
        return 'No published number was obtained under a protocol of this report.'
    header = ['method', 'architecture', 'framework', 'metric', 'reported', 'here minus reported',
              'source']  # fmt: skip
    rows = [
        [r.method, r.arch, r.framework, r.metric, say.number(r.value),
         say.NOTHING if r.difference is None else say.signed(r.difference), r.source]
        for r in content.published
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
        '| ' + ' | '.join(cell.replace('|', '\\|') for cell in line) + ' |' for line in lines
    )
