"""`--compile`: where it goes, what it says, what it refuses."""

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch._inductor import cpp_builder
from torch._inductor.exc import InvalidCxxCompiler

from mim_backbones.errors import UserError
from mim_backbones.training.compilation import check_compiler, compile_loss
from mim_backbones.training.overrides import overrides
from tests.mim_backbones.training.line import SoakLine, line_runner, trained

EAGER = {'backend': 'eager'}


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def said(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', lines.append)
    return lines


def test_a_training_ends_with_the_same_weights_and_names(tmp_path) -> None:
    plain = trained(tmp_path / 'plain').model
    compiled = trained(tmp_path / 'compiled', compile=EAGER).model
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    for name, value in plain.state_dict().items():
        assert torch.equal(value, compiled.state_dict()[name]), name


def test_mmengines_switch_compiles_nothing_else(tmp_path) -> None:
    runner = line_runner(tmp_path, compile=EAGER)
    train_step = runner.model.train_step
    runner._maybe_compile('train_step')
    assert runner.model.train_step == train_step
    seen = []
    runner.model.forward.compiled = lambda *_, **words: seen.append(words['mode']) or {}
    runner.model(torch.zeros(1, 1))
    runner.model(torch.zeros(1, 1), mode='loss')
    assert seen == ['loss']


class Cut(SoakLine):
    def forward(self, inputs, mode='tensor'):
        seen = self.head(self.backbone(inputs)).sum().item()
        return {'loss': (inputs * seen).sum()}


@pytest.mark.parametrize(('kind', 'line'), [
    (SoakLine, 'loss compiled, in one piece'),
    (Cut, 'loss compiled, in pieces: Unsupported Tensor.item() call'),
])  # fmt: skip
def test_the_log_says_whether_it_is_one_graph(kind, line: str, said) -> None:
    model = kind()
    compile_loss(model, **EAGER)
    for _ in range(2):
        model(torch.ones(1, 1), mode='loss')
    assert len(said) == 1 and said[0].startswith(line)


def test_what_is_prepared_draws_nothing_of_the_steps() -> None:
    model = SoakLine()
    calls = []
    model.prepare = lambda inputs: calls.append(torch.rand(len(inputs)))
    compile_loss(model, **EAGER)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    for _ in range(2):
        model(torch.ones(1, 1), mode='loss')
    assert len(calls) == 1 and torch.equal(torch.rand(1), expected)


def test_no_compiler_is_one_line(monkeypatch) -> None:
    def none_found():
        raise InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, 'get_cpp_compiler', none_found)
    with pytest.raises(UserError, match=r'no C\+\+ compiler.*without --compile'):
        check_compiler('cpu', 'inductor')
    check_compiler('cpu', 'eager')


def test_no_triton_is_one_line(monkeypatch) -> None:
    monkeypatch.setattr(cpp_builder, 'get_cpp_compiler', lambda: 'g++')
    monkeypatch.setattr('torch.utils._triton.has_triton', lambda: False)
    check_compiler('cpu', 'inductor')
    with pytest.raises(UserError, match=r'needs Triton.*without --compile'):
        check_compiler('cuda', 'inductor')


@pytest.mark.parametrize(('given', 'result'), [({}, True), ({'compile': EAGER}, EAGER)])
def test_the_option_keeps_what_the_config_says(given: dict, result) -> None:
    cfg = Config(given)
    for change in overrides(compile=True):
        change(cfg)
    assert cfg.compile == result
