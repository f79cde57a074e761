"""The page, the Markdown and the CSV of one report."""

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from downstream.report.content import gather
from downstream.report.formats.markdown import render_markdown
from downstream.report.formats.page import render_page
from downstream.report.formats.table_csv import render_csv
from downstream.results.result import Protocol, write_result

VOID = {'meta', 'img', 'br', 'link'}


class Balanced(HTMLParser):
    """Fails on a tag that is not closed where it should be; collects tags and attributes."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.sources = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.sources += [value for name, value in attrs if name in ('src', 'href')]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope='module')
def content(shared_results_dir, tmp_path_factory, picture):
    tmp_path = tmp_path_factory.mktemp('pictures')
    (tmp_path / 'recon.png').write_bytes(picture('reconstruction'))
    given = [f'Masked reconstruction={tmp_path / "recon.png"}']
    return gather(shared_results_dir, 'A <title> & more', pictures=given, resamples=200)


def test_the_page_needs_nothing_beside_it(content):
    page = render_page(content)
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert not parser.seen & {'script', 'link', 'iframe', 'object'}
    assert len(parser.sources) == 3 + 9 + 1  # charts, samples, the picture given
    assert all(source.startswith('data:image/') for source in parser.sources)
    assert 'http' not in re.sub(r'base64,[^"]*', '', page)


def test_the_page_says_it_all(content):
    page = render_page(content)
    assert 'A &lt;title&gt; &amp; more' in page
    for text in ('mae', 'simmim', 'random init', 'ViT-Ti/16', 'upernet-vit v1 (smoke)',
                 'not comparable with any paper', 'clear of zero', 'seeds ±', 'images/s',
                 'over 60 images', 'over 40 sequences', '5e1f5e1f5e1f', 'c0ffeec0ffee', '2.13.0',
                 'Masked reconstruction'):  # fmt: skip
        assert text in page, text
    assert 'Reported elsewhere' not in page


def test_the_same_results_give_the_same_page(content):
    assert render_page(content) == render_page(content)


def test_markdown_shows_pictures_that_are_there(content):
    text, figures = render_markdown(content)
    shown = re.findall(r'!\[[^]]*\]\(([^)]+)\)', text)
    assert sorted(shown) == sorted(figures)
    assert len(shown) == 13
    assert text.startswith('# A <title> & more\n\n| checkpoint | Detection: mask-rcnn-vit v1')
    widths = {line.count(' | ') for line in text.splitlines() if line.startswith('| mae |')}
    assert widths == {4, 5}  # the headline and three metrics; four metrics


def test_what_the_intervals_leave_out(content):
    for text in (render_page(content), render_markdown(content)[0]):
        assert 'over 60 images, seeds averaged on each draw' in text
        assert 'over 40 sequences. One training each: how far another seed' in text
        assert 'the paired difference to random init' in text


def test_a_bar_in_a_name_does_not_break_a_table(tmp_path, made_up):
    write_result(tmp_path, *made_up('a|b', 'tracking'))
    text, _ = render_markdown(gather(tmp_path, 'T', resamples=100))
    assert '| a\\|b |' in text


def test_csv_holds_every_number(content):
    lines = list(csv.DictReader(io.StringIO(render_csv(content))))
    assert len(lines) == 3 * 4 + 3 * 3 + 3 * 3
    line = next(one for one in lines if (one['checkpoint'], one['metric']) == ('simmim', 'mIoU'))
    row = next(row for row in content.tables[1].rows if row.system.label == 'simmim')
    assert float(line['value']) == pytest.approx(row.scores['mIoU'].value, abs=1e-6)
    assert float(line['difference_low']) == pytest.approx(row.differences['mIoU'].low, abs=1e-6)
    assert (line['clear_of_zero'], line['baseline'], line['seeds']) == ('True', 'random init', '2')
    baseline = next(one for one in lines if one['checkpoint'] == 'random init')
    assert baseline['difference'] == baseline['baseline'] == ''


def test_two_versions_of_a_protocol_are_kept_apart_and_it_is_said(results_dir, made_up):
    newer = Protocol('one-stream', '2', 'smoke')
    write_result(results_dir, *made_up('simmim', 'tracking', protocol=newer))
    content = gather(results_dir, 'T', resamples=100)
    assert content.split_tasks == ('tracking',)
    page, (text, _) = render_page(content), render_markdown(content)
    assert 'Results of tracking were made under more than one protocol' in page
    assert 'No baseline in this group' in page
    assert 'no difference is taken between those' in text


def test_published_rows_stand_apart(content):
    page = render_page(replace(content, published=()))
    assert 'No published number was obtained under a protocol of this report' in page
