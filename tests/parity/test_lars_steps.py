"""LARS as MAE's linear probes use it."""

import pytest
import torch

from mim_backbones.training.lars import LARS

OPTIONS = ('lr', 'weight_decay', 'momentum', 'trust_coefficient')


@pytest.mark.golden('lars_steps', needs=['w0', 'b0', 'grads', 'params'])
def test_each_step(golden, same) -> None:
    parameters = [torch.nn.Parameter(golden[name].clone()) for name in ('w0', 'b0')]
    optimizer = LARS(parameters, **{name: golden[name] for name in OPTIONS})
    for number, (grads, expected) in enumerate(zip(golden['grads'], golden['params'], strict=True)):
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.grad = grad.clone()
        optimizer.step()
        for name, parameter, value in zip('wb', parameters, expected, strict=True):
            same(f'{name} after step {number}', parameter, value)


def test_a_matrix_of_zeros_leaves_them() -> None:
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    weight.grad = torch.ones(2, 2)
    LARS([weight], lr=0.5).step()
    assert weight.eq(-0.5).all()
    weight.grad = torch.zeros(2, 2)
    LARS([weight], lr=0.5).step()
    assert weight.eq(-0.5).all()
