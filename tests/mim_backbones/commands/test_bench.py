import json

import pytest
import torch
from click.testing import CliRunner

from mim_backbones.bench import ops
from mim_backbones.commands.bench import bench
from mim_backbones.errors import UserError

torch.set_num_threads(1)


@pytest.fixture
def one_small_case(monkeypatch):
    case = ops.Case('nms', 'none at all', lambda: torch.ones(10), lambda: torch.ones(10).sum())
    monkeypatch.setattr(ops, '_cases', lambda: iter([case]))


@pytest.mark.usefixtures('one_small_case')
def test_ops_as_json_and_as_a_table():
    result = CliRunner().invoke(bench, ['ops', '--repeats', '1', '--json'])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.output)
    assert row['op'] == 'nms'
    assert row['seconds'] > 0
    assert row['speedup'] == pytest.approx(row['naive_seconds'] / row['seconds'])
    table = CliRunner().invoke(bench, ['ops', '--threads', '1']).output.splitlines()
    assert table[0].split()[:3] == ['op', 'case', 'provider']
    assert table[1].startswith('nms')


def test_cases_cover_every_op_and_run():
    from mim_backbones.standins.providers import OPS

    cases = list(ops._cases())
    assert {case.op for case in cases} <= set(OPS)
    for case in cases:
        if case.op == 'roi_align':
            case.call()


def test_attention_as_json_and_as_a_table():
    small = ['attention', '--tokens', '16', '--heads', '1', '--repeats', '1']
    result = CliRunner().invoke(bench, [*small, '--json'])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.output)
    assert [(r['positions'], r['passes']) for r in rows] == [
        ('decomposed', 'forward'), ('decomposed', 'forward and backward'),
        ('offset table', 'forward'), ('offset table', 'forward and backward'),
    ]  # fmt: skip
    assert all(row['difference'] < 1e-5 for row in rows)
    assert all(row['speedup'] == row['naive_seconds'] / row['seconds'] for row in rows)  # one pair
    table = CliRunner().invoke(bench, [*small, '--threads', '1']).output.splitlines()
    assert len(table) == 1 + len(rows)
    assert table[1].startswith('decomposed')


def test_attention_refuses_what_it_cannot_measure():
    result = CliRunner().invoke(bench, ['attention', '--tokens', '17'])
    assert isinstance(result.exception, UserError)
    assert 'no square' in str(result.exception)
