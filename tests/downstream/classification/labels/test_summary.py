"""Rows and figure of a sweep: means, intervals of seeds and pictures, differences."""

import numpy as np
import pytest

from downstream.classification.labels.summary import figure, summarise, table_csv
from downstream.classification.labels.sweep import Cell
from downstream.classification.units import ClassificationUnits


def cells(checkpoint: str, found: dict[int, list[int]], protocol: str = 'ridge') -> list[Cell]:
    """found: labels -> of each seed, how many of 40 pictures are right."""
    names = [str(i) for i in range(40)]
    return [
        Cell(checkpoint, protocol, f'{n} a class', 10 * n, seed, 2.5 * right, 100.0, 'mean',
             ClassificationUnits(names, np.arange(40) >= right))
        for n, rights in found.items()
        for seed, right in enumerate(rights)
    ]  # fmt: skip


def test_a_row_is_the_mean_of_its_seeds() -> None:
    rows = summarise([*cells('a', {1: [10, 14], 5: [20, 20]}), *cells('b', {1: [30, 30]})])
    assert [(row.checkpoint, row.asked, row.labels) for row in rows] == [
        ('a', '1 a class', 10), ('a', '5 a class', 50), ('b', '1 a class', 10),
    ]  # fmt: skip
    assert [row.top1 for row in rows] == pytest.approx([30, 50, 75])
    assert all(row.low < row.top1 < row.high for row in rows)
    assert rows[0].minus_first is None
    assert rows[2].minus_first == pytest.approx(45)
    assert rows[2].minus_low < 45 < rows[2].minus_high


def test_the_same_rows_give_the_same_files() -> None:
    some = [*cells('a', {1: [10], 5: [20]}), *cells('a', {1: [11]}, 'knn'), *cells('b', {1: [9]})]
    rows = summarise(some)
    assert figure(rows, 'svg') == figure(rows, 'svg')
    assert table_csv(rows).splitlines()[0].startswith('checkpoint,protocol,asked,labels,seeds,top1')
    assert len(table_csv(rows).splitlines()) == 5
