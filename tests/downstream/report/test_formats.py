"""The page, the Markdown and the CSV of one report."""

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from downstream.report.content import gather
from downstream.report.formats.markdown import render_markdown
from downstream.report.formats.table_csv import render_csv
from downstream.report.formats.write import render_page
from downstream.results.result import Protocol, write_result
from downstream.tracking.units import TrackingUnits

VOID = {'meta', 'img', 'source', 'br', 'link'}


class Balanced(HTMLParser):
    """Fails on a tag that is not closed where it should be; collects tags and attributes."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.sources = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.sources += [value for name, value in attrs if name in ('src', 'srcset', 'href')]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope='module')
def content(shared_results_dir, tmp_path_factory, picture):
    tmp_path = tmp_path_factory.mktemp('pictures')
    (tmp_path / 'recon.png').write_bytes(picture('reconstruction'))
    given = [f'Masked reconstruction={tmp_path / "recon.png"}']
    return gather(shared_results_dir, 'A <title> & more', pictures=given, splits=60)


def test_the_page_needs_nothing_beside_it(content):
    page = render_page(content)
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert not parser.seen & {'script', 'link', 'iframe', 'object'}
    assert (
        len(parser.sources) == 2 * 3 + 9 + 1
    )  # charts in light and dark, samples, the picture given
    assert all(source.startswith('data:image/') for source in parser.sources)
    assert 'http' not in re.sub(r'base64,[^"]*', '', page)


def test_the_page_says_it_all(content):
    page = render_page(content)
    assert 'A &lt;title&gt; &amp; more' in page
    for text in ('mae', 'simmim', 'random init', 'ViT-Ti/16', 'upernet-vit v1 (smoke)',
                 'not comparable with any paper', 'clear of zero', 'seeds ±', 'images/s',
                 'over 60 images', 'over 40 sequences', '2026-11-20 to 2026-11-22', 'Xeon 8488C',
                 'mimbench eval simmim.pth', 'prefers-color-scheme: dark', '5e1f5e1f5e1f',
                 'c0ffeec0ffee', '2.13.0',
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
    assert text.startswith('# A &lt;title> & more\n\n| checkpoint | Detection: mask-rcnn-vit v1')
    widths = {line.count(' | ') for line in text.splitlines() if line.startswith('| mae |')}
    assert widths == {4, 5}


def test_what_the_intervals_cover_and_leave_out(content):
    for text in (render_page(content), render_markdown(content)[0]):
        assert 'over 60 images, halved at random 60 times, and over trainings' in text
        assert 'over 40 sequences, halved at random 60 times; of one training each' in text
        assert 'no mark: one training on a side' in text
        assert 'run two more (mimbench eval --seed 0 --seed 1 --seed 2)' in text
        assert 'the paired difference to random init' in text


def test_marks_only_where_the_noise_of_training_is_known(tmp_path, made_up):
    for name in ('simmim', 'random init'):
        write_result(tmp_path, *made_up(name, 'segmentation'))
    content = gather(tmp_path, 'T', splits=60)
    for text in (render_page(content), render_markdown(content)[0], render_csv(content)):
        assert not re.search('[▲▼○]|True|&lt; 0.001', text)
        assert 'images only' in text
    for name in ('simmim', 'random init'):
        write_result(tmp_path, *made_up(name, 'segmentation', seed=1))
    content = gather(tmp_path, 'T', splits=60)
    for text in (render_page(content), render_markdown(content)[0]):
        assert '▲' in text
        assert 'images and trainings' in text


def test_too_few_units_carry_no_mark_and_no_p(tmp_path, made_up):
    for name in ('simmim', 'random init'):
        for seed in (0, 1):
            whole = made_up(name, 'tracking', seed)[1]
            curves = {key: curve[:2] for key, curve in whole.arrays().items()}
            units = TrackingUnits.from_arrays(whole.names[:2], curves)
            write_result(tmp_path, *made_up(name, 'tracking', seed, units=units))
    content = gather(tmp_path, 'T', splits=60)
    for text in (render_page(content), render_markdown(content)[0]):
        assert not re.search('[▲▼○]', text)
        assert '2 sequences are too few for a mark or a p-value: below 20' in text
        assert 'no mark: 2 sequences' in text
    assert {line['p_value'] for line in csv.DictReader(io.StringIO(render_csv(content)))} == {''}


def test_a_changed_option_is_said_wherever_the_protocol_is(tmp_path, made_up):
    changes = {'train_cfg.max_iters': 1}
    write_result(tmp_path, *made_up('mae', 'tracking', changes=changes))
    content = gather(tmp_path, 'T', splits=60)
    said = 'one-stream v1 (smoke), changed: train_cfg.max_iters=1'
    page, (text, _) = render_page(content), render_markdown(content)
    for each in (page, text):
        assert each.count(said) == each.count('one-stream v1 (smoke)') > 2
    assert 'train_cfg.max_iters=1' in render_csv(content)


def test_metrics_are_in_words(tmp_path, made_up):
    result, units = made_up('mae', 'detection')
    metrics = {**result.metrics, 'box_mAP_75': 1.0, 'box_mAP_s': 2.0}
    write_result(tmp_path, replace(result, metrics=metrics), units)
    content = gather(tmp_path, 'T', splits=60)
    for text in (render_page(content), render_markdown(content)[0]):
        assert 'mAP' not in text
        assert 'box AP75' in text


def test_a_bar_in_a_name_does_not_break_a_table(tmp_path, made_up):
    write_result(tmp_path, *made_up('a|b', 'tracking'))
    text, _ = render_markdown(gather(tmp_path, 'T', splits=50))
    assert '| a\\|b |' in text


def test_csv_holds_every_number(content):
    lines = list(csv.DictReader(io.StringIO(render_csv(content))))
    assert len(lines) == 3 * 4 + 3 * 3 + 3 * 3
    line = next(one for one in lines if (one['checkpoint'], one['metric']) == ('simmim', 'mIoU'))
    row = next(row for row in content.tables[1].rows if row.system.label == 'simmim')
    assert float(line['value']) == pytest.approx(row.scores['mIoU'].value, abs=1e-6)
    assert float(line['difference_low']) == pytest.approx(row.differences['mIoU'].low, abs=1e-6)
    assert (line['clear_of_zero'], line['baseline'], line['seeds']) == ('True', 'random init', '3')
    assert line['difference_over'] == 'images and trainings'
    baseline = next(one for one in lines if one['checkpoint'] == 'random init')
    assert baseline['difference'] == baseline['baseline'] == ''


def test_two_versions_of_a_protocol_are_kept_apart_and_it_is_said(results_dir, made_up):
    newer = Protocol('one-stream', '2', 'tracking', 'smoke')
    write_result(results_dir, *made_up('simmim', 'tracking', protocol=newer))
    content = gather(results_dir, 'T', splits=50)
    assert content.split_tasks == ('tracking',)
    page, (text, _) = render_page(content), render_markdown(content)
    assert 'Results of tracking were made under more than one protocol' in page
    assert 'No baseline in this group' in page
    assert 'no difference is taken between those' in text


def test_published_rows_stand_apart(content):
    page = render_page(replace(content, published=()))
    assert 'No published number was obtained under a protocol of this report' in page
