"""Votes of the nearest rows against the rule written out in NumPy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mim_backbones.probes import nearest as module
from mim_backbones.probes.nearest import knn_scores, nearest


def test_nearest_of_equals_are_found_in_any_chunking(monkeypatch) -> None:
    bank = F.normalize(torch.randn(50, 8)).bfloat16()
    whole, rows = nearest(bank[:9].float(), bank, 6)
    assert rows[:, 0].tolist() == list(range(9))
    monkeypatch.setattr(module, 'CHUNK', 4)
    parts, again = nearest(bank[:9].float(), bank, 6)
    assert torch.equal(whole, parts) and torch.equal(rows, again)


def test_a_float32_bank_is_compared_in_float32() -> None:
    bank = F.normalize(torch.tensor([[1.0, 0], [1, 1e-3], [1, 2e-3]]))
    near, rows = nearest(F.normalize(torch.tensor([[1.0, 1.9e-3]])), bank, 3)
    assert rows.tolist() == [[2, 1, 0]]  # in bf16 they are one
    assert near.dtype == torch.float32


@pytest.mark.parametrize('neighbours', [1, 5, 200])
@pytest.mark.parametrize(('chunk', 'queries'), [(7, 5), (2**16, 2048)])
def test_scores_are_the_rule_in_numpy(neighbours, chunk, queries, monkeypatch) -> None:
    monkeypatch.setattr(module, 'CHUNK', chunk)
    monkeypatch.setattr(module, 'QUERIES', queries)
    bank, asked = F.normalize(torch.randn(40, 6)), F.normalize(torch.randn(12, 6))
    labels = torch.randint(0, 4, (40,))
    found = knn_scores(asked, bank, labels, 4, neighbours, 0.07).numpy()
    for row, query in zip(found, asked.double().numpy()):
        similar = bank.double().numpy() @ query
        votes = np.zeros(4)
        for place in np.argsort(-similar)[:neighbours]:
            votes[labels[place]] += np.exp(similar[place] / 0.07)
        assert row == pytest.approx(votes / votes.sum(), abs=1e-5)


def test_one_close_neighbour_outvotes_two_far_ones() -> None:
    # Cosines 1, 0.8 and 0.8: at 0.07 weights of 1 beside 2 exp(-0.2 / 0.07) = 0.115; at 10 not.
    bank = torch.tensor([[1.0, 0], [0.8, 0.6], [0.8, -0.6]])
    labels, query = torch.tensor([0, 1, 1]), torch.tensor([[1.0, 0]])
    sharp = knn_scores(query, bank, labels, 2, 3)
    assert sharp.tolist()[0] == pytest.approx([1 / 1.114866, 0.114866 / 1.114866], rel=1e-4)
    assert knn_scores(query, bank, labels, 2, 3, temperature=10.0).argmax().item() == 1
