"""The first that is not finite, in time, of models whose culprit is known."""

import pytest
import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mim_backbones.training.guard.culprit import FirstBroken, broken
from tests.mim_backbones.training.guard.fragile import BAD, NAN, fragile_runner


class Gain(nn.Module):
    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain


class Pair(nn.Module):
    """Two gains, and a root between them, whose slope at 0 is infinite."""

    def __init__(self, one: float, two: float) -> None:
        super().__init__()
        self.one, self.two = Gain(one), Gain(two)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x).sqrt())


class Net(BaseModel):
    def __init__(self, one: float = 1.0, two: float = 1.0, hidden: float = 0.0) -> None:
        super().__init__()
        self.stem, self.pair = Gain(), Pair(one, two)
        self.hidden = hidden

    def forward(self, inputs: Tensor, mode: str = 'loss') -> dict[str, Tensor]:
        scores = torch.stack([self.pair(self.stem(inputs)), inputs + self.hidden])
        return {'loss': scores.exp().sum()}


def found(model: Net, inputs: Tensor) -> str | None:
    watch = FirstBroken(model)
    with watch.hooks:
        model(inputs)['loss'].backward()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    return watch.found


@pytest.mark.parametrize(('model', 'value', 'culprit'), [
    (Net(), 1.0, None),
    (Net(one=float('inf')), 1.0, 'the output of pair.one (Gain)'),
    (Net(one=-1.0), 1.0, 'what pair (Pair) gives to pair.two (Gain)'),  # the root of -1
    (Net(two=1e3), 1.0, 'the output of Net'),  # exp(1000)
    (Net(), 0.0, 'the gradient of pair.one.gain'),  # inf * 0; two's is 0, three's comes later
    (Net(), NAN, 'the loaded batch'),
    (Net(hidden=-torch.inf), 1.0, None),  # a mask before a softmax
])  # fmt: skip
def test_the_first_in_time(model: Net, value: float, culprit: str | None) -> None:
    assert found(model, torch.tensor(value)) == culprit


@pytest.mark.parametrize(('value', 'answer'), [
    (torch.tensor([1.0, NAN]), True), (torch.tensor([1.0, -torch.inf]), False),
    (torch.tensor([1.0, torch.inf]), True), ({'a': [torch.ones(2), (torch.tensor(NAN),)]}, True),
    (torch.tensor([1, 2]), False), ('nan', False), (None, False),
])  # fmt: skip
def test_what_counts_as_broken(value, answer: bool) -> None:
    assert broken(value) is answer


def test_a_gradient_has_no_masks() -> None:
    assert broken(torch.tensor(-torch.inf), masks=False)


@pytest.mark.parametrize('change', [
    {}, {'accumulative_counts': 3},
    {'type': 'mim_backbones.AutoPrecisionOptimWrapper', 'precision': 'bf16'},
])  # fmt: skip
def test_a_step_made_again_is_the_same_step(tmp_path, change: dict) -> None:
    """Buffers, draws and weights are those of before; neither weights nor counts move."""
    from mim_backbones.training.guard.culprit import Rehearsal

    runner = fragile_runner(tmp_path, 'output', optim_wrapper={
        'optimizer': {'type': 'Adam', 'lr': 0.01}, **change})  # fmt: skip
    runner.train()
    runner.message_hub.pop_info('rewound_at')
    drawn: list[Tensor] = []
    runner.model.middle.register_forward_hook(lambda *_: drawn.append(torch.rand(2)))
    rehearsal = Rehearsal(runner, [{'inputs': torch.tensor([[1.0], [2.0]])}])
    weights = {name: value.clone() for name, value in runner.model.state_dict().items()}
    count = runner.optim_wrapper.inner_count
    runner.model.middle.seen.fill_(NAN)
    assert rehearsal.culprit() is None
    assert rehearsal.culprit() is None
    assert torch.equal(drawn[0], drawn[1])
    assert runner.optim_wrapper.inner_count == count
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    bad = Rehearsal(runner, [{'inputs': torch.tensor([[1.0]])}, {'inputs': torch.tensor([[BAD]])}])
    assert bad.culprit() == 'the output of middle (Middle)'
