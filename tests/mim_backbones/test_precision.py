import pytest
import torch
import torch.nn as nn

from mim_backbones import precision
from mim_backbones.precision import AutoPrecisionOptimWrapper, autocast


@pytest.mark.parametrize(('choice', 'fast', 'dtype'), [
    ('bf16', False, torch.bfloat16), ('auto', True, torch.bfloat16),
    ('auto', False, torch.float32), ('fp32', True, torch.float32)])  # fmt: skip
def test_choice_of_dtype(monkeypatch, choice: str, fast: bool, dtype: torch.dtype) -> None:
    monkeypatch.setattr(precision, 'fast_bf16', lambda device: fast)
    with autocast('cpu', choice):
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == dtype


def test_wrapper_trains_fp32_weights_through_bf16_products() -> None:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = AutoPrecisionOptimWrapper(precision='bf16', optimizer=optimizer)
    before = model.weight.detach().clone()
    with wrapper.optim_context(model):
        out = model(torch.ones(1, 4))
    assert out.dtype == torch.bfloat16
    wrapper.update_params(out.float().sum())
    assert model.weight.dtype == torch.float32
    torch.testing.assert_close(model.weight, before - 0.1)


def test_unknown_precision() -> None:
    with pytest.raises(ValueError, match='bf16'):
        autocast('cpu', 'fp8')
