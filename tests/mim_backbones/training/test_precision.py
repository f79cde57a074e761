import pytest
import torch
import torch.nn as nn

from mim_backbones.training import precision
from mim_backbones.training.precision import AutoPrecisionOptimWrapper, autocast


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


def trained(choice: dict) -> tuple[torch.Tensor, bool | None]:
    """The weight after two steps of AdamW, and which update its optimizer takes."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.05, **choice)
    wrapper = AutoPrecisionOptimWrapper(precision='fp32', optimizer=optimizer)
    for _ in range(2):
        wrapper.update_params(model(torch.ones(1, 4)).square().sum())
    return model.weight.detach(), optimizer.param_groups[0]['fused']


def test_adamw_is_fused_unless_the_recipe_says_otherwise() -> None:
    weight, fused = trained({})
    plain, chosen = trained({'fused': False})
    assert (fused, chosen) == (True, False)
    assert trained({'foreach': False})[1] is None
    torch.testing.assert_close(weight, plain, atol=1e-6, rtol=1e-6)
