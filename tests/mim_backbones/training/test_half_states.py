"""AdamW with moments in bf16: against torch's, by hand, and through a training."""

import copy

import pytest
import torch
from torch import nn

from mim_backbones.training.half_states import CUT, MOMENTS, HalfStateAdamW, rounded
from mim_backbones.training.layer_decay import LayerDecayConstructor
from tests.mim_backbones.training.line import trained

HALVES = {'optimizer': {'type': 'mim_backbones.HalfStateAdamW', 'lr': 0.01}}


def test_rounding_keeps_the_mean() -> None:
    """1.001 lies 0.128 of the way from 1 to the next number of 8 bits, 1.0078125."""
    torch.manual_seed(0)
    chance = torch.randint(CUT + 1, (200_000,), dtype=torch.int32)
    for sign in (1.0, -1.0):
        found = rounded(torch.full((200_000,), sign * 1.001), chance)
        assert set(found.tolist()) == {sign, sign * 1.0078125}
        assert (found == sign).float().mean() == pytest.approx(0.872, abs=0.004)
    exact = torch.tensor([0.0, -0.0, 1.0078125, -3e38, 2.0**-126])
    assert torch.equal(rounded(exact.bfloat16().float(), chance[:5]), exact.bfloat16())


def test_the_first_step_by_hand() -> None:
    """Bias correction makes the first step lr * sign(g), whatever is rounded, after the decay."""
    weight = nn.Parameter(torch.tensor([1.0, 1.0]))
    weight.grad = torch.tensor([0.3, -7.0])
    HalfStateAdamW([weight], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(weight.detach(), torch.tensor([0.85, 1.05]))


def steps(
    optimizer_class, count: int, seed: int = 0, **options
) -> tuple[torch.Tensor, list, float]:
    """The weights, losses and bytes of states of fitting a small net."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 8))
    x = torch.randn(256, 8)
    y = torch.tanh(x @ torch.randn(8, 8))
    optimizer = optimizer_class(net.parameters(), lr=3e-3, weight_decay=0.05, **options)
    losses = []
    for i in range(count):
        part = slice(32 * (i % 8), 32 * (i % 8) + 32)
        optimizer.zero_grad()
        loss = (net(x[part]) - y[part]).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    held = sum(state[m].nbytes for state in optimizer.state.values() for m in MOMENTS)
    values = sum(p.numel() for p in net.parameters())
    return torch.cat([p.detach().flatten() for p in net.parameters()]), losses, held / values


@pytest.mark.parametrize('betas', [(0.9, 0.95), (0.9, 0.999)])
def test_a_training_follows_the_one_in_float32(betas) -> None:
    """Half the bytes, and a loss curve within two percent of float32's."""
    _, exact, whole = steps(torch.optim.AdamW, 400, betas=betas)
    _, found, half = steps(HalfStateAdamW, 400, betas=betas)
    assert (whole, half) == (8, 4)
    for part in (slice(0, 100), slice(100, 200), slice(200, 400)):
        assert sum(found[part]) == pytest.approx(sum(exact[part]), rel=0.02)
    assert sum(exact[-50:]) < 0.6 * sum(exact[:50])


def test_a_square_that_is_over_is_forgotten() -> None:
    """One gradient of 1, then none for 2000 steps of 0.999: e^-2 of it is left."""
    weight = nn.Parameter(torch.zeros(4096))
    optimizer = HalfStateAdamW([weight], lr=0.0)
    for i in range(2001):
        weight.grad = torch.full_like(weight, float(i == 0))
        optimizer.step()
    left = optimizer.state[weight]['exp_avg_sq'].float().mean() / 1e-3
    assert left == pytest.approx(0.999**2000, rel=0.02)
    # To the nearest it never moves.
    one = torch.tensor(1e-3).bfloat16()
    assert (one.float() * 0.999).bfloat16() == one


def test_states_are_read_back_exactly_and_from_torchs_own() -> None:
    weight = nn.Parameter(torch.randn(64))
    mine, other = HalfStateAdamW([weight]), torch.optim.AdamW([weight])
    for optimizer in (mine, other):
        weight.grad = torch.randn(64)
        optimizer.step()
    for source in (mine, other):
        again = HalfStateAdamW([weight])
        again.load_state_dict(copy.deepcopy(source.state_dict()))
        assert again.state[weight]['step'] == 1
        for name in MOMENTS:
            found, given = again.state[weight][name], source.state[weight][name]
            assert found.dtype == torch.bfloat16
            assert torch.equal(found, given.bfloat16())


def test_a_run_resumes_exactly_by_its_name_in_a_recipe(tmp_path) -> None:
    whole = trained(tmp_path / 'whole', optim_wrapper=HALVES)
    assert type(whole.optim_wrapper.optimizer) is HalfStateAdamW
    checkpoint = str(tmp_path / 'whole' / 'epoch_1.pth')
    again = trained(tmp_path / 'again', optim_wrapper=HALVES, resume=True, load_from=checkpoint)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
    ends = (run.optim_wrapper.optimizer.state.values() for run in (whole, again))
    for a, b in zip(*ends, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in MOMENTS)


def test_layer_decay_takes_it() -> None:
    config = {'optimizer': {**HALVES['optimizer'], 'weight_decay': 0.05}}
    optimizer = LayerDecayConstructor(config)(nn.Linear(2, 2)).optimizer
    assert type(optimizer) is HalfStateAdamW
    assert {group['weight_decay'] for group in optimizer.param_groups} == {0.0, 0.05}


@pytest.mark.parametrize('wrong', [{'lr': -1.0}, {'betas': (0.9, 1.0)}, {'eps': -1e-8}])
def test_wrong_numbers(wrong: dict) -> None:
    with pytest.raises(ValueError, match='HalfStateAdamW: lr='):
        HalfStateAdamW([nn.Parameter(torch.zeros(1))], **wrong)
