"""A sweep's scores are those of `mimbench eval`, from features that are computed once."""

import csv
import json

import pytest
from click.testing import CliRunner

from downstream.classification.labels.sweep import features_of
from downstream.commands.analyze_labels import labels
from downstream.evaluation.contestants import open_contestants
from downstream.evaluation.plan import Request, plan_jobs
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError

OPTIONS = {'test_dataloader.dataset.held_out': 0.3, 'train_dataloader.dataset.held_out': 0.3}
WORDS = [word for key, value in OPTIONS.items() for word in ('--cfg-options', f'{key}={value}')]
PROTOCOLS = ('ridge-vit-smoke', 'knn-vit-smoke')


@pytest.fixture
def invoke(weights, world, tmp_path):
    def run(*words: str, protocols: tuple[str, ...] = PROTOCOLS):
        given = ['--data', str(world), '--out', str(tmp_path / 'few'), *WORDS, *words]
        return CliRunner().invoke(
            labels, [f'mim={weights}', *given, '--protocol', ','.join(protocols)]
        )

    return run


def test_scores_are_those_of_eval(invoke, weights, world, tmp_path, train_job, monkeypatch) -> None:
    read = []
    monkeypatch.setattr(
        'downstream.classification.labels.sweep.features_of',
        lambda *given: read.append(given[2]) or features_of(*given),
    )
    done = invoke('random', '--per-class', '1,2', '--share', '0.5', '--seeds', '2', '--json')
    assert done.exit_code == 0, done.output
    # Once of the checkpoint; a random start is another one with each seed and protocol.
    assert read.count('train') == 1 + 2
    found = json.loads((tmp_path / 'few/labels.json').read_text())
    cells = {(c['checkpoint'], c['protocol'], c['asked'], c['seed']): c for c in found['cells']}
    assert len(cells) == 2 * 2 * 3 * 2
    request = Request(
        sources=(f'mim={weights}', 'random'), data=world, out=tmp_path / 'eval',
        protocols=PROTOCOLS, seeds=(1,),
        options={**OPTIONS, 'train_dataloader.dataset.per_class': 2},
    )  # fmt: skip
    spec = load_data_spec(world)
    for planned in plan_jobs(request, open_contestants(request.sources), spec):
        job = planned.job
        if (job.checkpoint is None) == (job.protocol.name == PROTOCOLS[0]):
            continue  # of each source one protocol is enough
        expected = train_job(job, spec)
        cell = cells[job.name, job.protocol.name, '2 a class', 1]
        assert cell['top1'] == pytest.approx(expected.metrics['top1']), job.title
        assert expected.notes[0].endswith(f'counts {cell["classifier"]}')


def test_it_writes_a_figure_a_table_and_lists_that_it_reads(invoke, tmp_path) -> None:
    done = invoke('--per-class', '1,2', '--seeds', '2', protocols=PROTOCOLS[:1])
    assert done.exit_code == 0, done.output
    assert 'figure:' in done.output
    folder = tmp_path / 'few'
    assert (folder / 'labels.png').read_bytes()[:4] == b'\x89PNG'
    rows = list(csv.DictReader((folder / 'labels.csv').open()))
    assert [row['asked'] for row in rows] == ['1 a class', '2 a class']
    assert {row['seeds'] for row in rows} == {'2'}
    names = sorted(path.name for path in (folder / 'lists').iterdir())
    assert names == [f'seed{s}_{n}-per-class.txt' for s in (0, 1) for n in (1, 2)]
    first = {c['asked']: c for c in json.loads((folder / 'labels.json').read_text())['cells']
             if c['seed'] == 0}  # fmt: skip
    again = invoke(
        '--list', str(folder / 'lists/seed0_2-per-class.txt'), '--seeds', '1', '--json',
        protocols=PROTOCOLS[:1],
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    (listed,) = json.loads((folder / 'labels.json').read_text())['cells']
    assert listed['top1'] == first['2 a class']['top1']
    assert listed['labels'] == first['2 a class']['labels']


def test_wrong_words_are_said_in_a_line(invoke) -> None:
    for words, said in (
        ((), '--per-class, --share or --list'),
        (('--per-class', '1,x'), "'1,x' is no list of numbers"),
        (('--share', '0,0.5'), '0.0 is not within 0 and 1'),
    ):
        done = invoke(*words)
        assert done.exit_code == 2 and said in ' '.join(done.output.split())
    done = invoke('--per-class', '1', protocols=('classifier-vit-smoke',))
    assert isinstance(done.exception, UserError)
    assert 'classifier-vit-smoke trains' in str(done.exception)
