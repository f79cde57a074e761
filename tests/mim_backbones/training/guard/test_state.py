"""What counts as whole, and that a copy is all there is."""

import copy
from typing import Any

import pytest
import torch
from torch.nn import functional

from mim_backbones.training.guard.state import all_whole, whole
from tests.mim_backbones.training.guard.fragile import NAN, fragile_runner

VALUES: list[tuple[Any, bool]] = [
    (1.0, True), (NAN, False), (torch.tensor(float('inf')), False), ([1.0, 2.0], True),
    ([1.0, NAN], False), ('text', True), (torch.ones(2, dtype=torch.long), True),
    (torch.full((3,), 1e30), True), (torch.tensor([]), True),
    (torch.tensor([3e38, -3e38]), True), (torch.tensor([6e4, 6e4], dtype=torch.float16), True),
    (torch.tensor([1.0, float('-inf')], dtype=torch.bfloat16), False),
]  # fmt: skip


@pytest.mark.parametrize(('value', 'answer'), VALUES)
def test_what_whole_is(value, answer: bool) -> None:
    assert whole(value) is answer
    if isinstance(value, torch.Tensor):
        assert bool(all_whole([torch.ones(2), value])) is answer


def test_sparse_gradients_are_passed_over() -> None:
    assert all_whole([torch.tensor([NAN]).to_sparse()])
    assert not all_whole([torch.tensor([1.0]).to_sparse(), torch.tensor([NAN])])


@pytest.mark.parametrize('optimizer', [
    {'type': 'Adam', 'lr': 0.01}, {'type': 'AdamW', 'lr': 0.01, 'fused': True},
    {'type': 'SGD', 'lr': 0.01, 'momentum': 0.9}, {'type': 'Adagrad', 'lr': 0.01},
])  # fmt: skip
def test_what_is_restored_goes_on_as_what_was_kept(tmp_path, optimizer: dict) -> None:
    runner = fragile_runner(tmp_path, 'none', optim_wrapper={'optimizer': optimizer})
    runner.train()
    (guard,) = (hook for hook in runner.hooks if type(hook).__name__ == 'Guard')
    state, (torch_optimizer,) = guard.state, guard.state.optimizers()

    def steps(count: int) -> dict:
        for number in range(count):
            loss = runner.model(torch.tensor([[float(number)]]), mode='loss')['loss']
            loss.backward()
            torch_optimizer.step()
            torch_optimizer.zero_grad()
        return copy.deepcopy(runner.model.state_dict())

    state.keep(5)
    rate = torch_optimizer.param_groups[0]['lr']
    wanted = steps(3)
    torch_optimizer.param_groups[0]['lr'] = 7.0
    for parameter in runner.model.parameters():
        parameter.data.fill_(NAN)
        parameter.grad = functional.relu(parameter.data)
    state.restore()
    assert not state.broken()
    assert torch_optimizer.param_groups[0]['lr'] == 7.0  # of the iteration, not of the copy
    torch_optimizer.param_groups[0]['lr'] = rate
    for name, value in steps(3).items():
        assert torch.equal(value, wanted[name]), name
