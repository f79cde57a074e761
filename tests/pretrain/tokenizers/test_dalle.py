import sys
import types

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from pretrain.targets.base import Student
from pretrain.targets.tokens import TokenTarget
from pretrain.tokenizers.dalle import DalleTokenizer

WIDTH, CODES = 8, 32
PACKAGE = ('dall_e', 'dall_e.encoder', 'dall_e.utils')


def published(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A small encoder, pickled as OpenAI's is: whole, of classes that readers do not have."""
    modules = {
        name: types.ModuleType(name) for name in ('dall_e', 'dall_e.encoder', 'dall_e.utils')
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)

    def define(name: str, module: str) -> type[nn.Module]:
        cls = type(name, (nn.Module,), {'__module__': module})
        setattr(modules[module], name, cls)
        return cls

    conv_class = define('Conv2d', 'dall_e.utils')
    block_class = define('EncoderBlock', 'dall_e.encoder')
    encoder_class = define('Encoder', 'dall_e.encoder')

    def conv(before: int, after: int, size: int) -> nn.Module:
        module = conv_class()
        module.w = nn.Parameter(torch.randn(after, before, size, size) / (before * size**2) ** 0.5)
        module.b = nn.Parameter(torch.randn(after))
        module.device, module.kw = torch.device('cpu'), size
        return module

    def block(before: int, after: int) -> nn.Module:
        module, hidden = block_class(), after // 4
        module.post_gain = 1 / 64
        module.id_path = conv(before, after, 1) if before != after else nn.Identity()
        module.res_path = nn.Sequential()
        for i, sizes in enumerate(
            [(before, hidden, 3), (hidden, hidden, 3), (hidden, hidden, 3), (hidden, after, 1)], 1
        ):
            module.res_path.add_module(f'relu_{i}', nn.ReLU())
            module.res_path.add_module(f'conv_{i}', conv(*sizes))
        return module

    blocks = nn.Sequential()
    blocks.add_module('input', conv(3, WIDTH, 7))
    before = WIDTH
    for i in range(4):
        group, after = nn.Sequential(), WIDTH * 2**i
        group.add_module('block_1', block(before, after))
        group.add_module('block_2', block(after, after))
        if i < 3:
            group.add_module('pool', nn.MaxPool2d(2))
        blocks.add_module(f'group_{i + 1}', group)
        before = after
    output = nn.Sequential()
    output.add_module('relu', nn.ReLU())
    output.add_module('conv', conv(before, CODES, 1))
    blocks.add_module('output', output)
    encoder = encoder_class()
    encoder.blocks = blocks
    return encoder.requires_grad_(False)


def run(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the classes of the dall_e package compute."""
    name = type(module).__name__
    if name == 'Conv2d':
        return F.conv2d(x, module.w, module.b, padding=(module.w.shape[-1] - 1) // 2)
    if name == 'EncoderBlock':
        return run(module.id_path, x) + module.post_gain * run(module.res_path, x)
    if isinstance(module, nn.Sequential):
        for child in module:
            x = run(child, x)
        return x
    return module(x)


@pytest.mark.parametrize('form', ['encoder.pkl', 'encoder.pth', 'encoder.safetensors'])
def test_every_form_of_the_file_gives_the_published_logits(tmp_path, monkeypatch, form) -> None:
    encoder, path = published(monkeypatch), tmp_path / form
    image = torch.rand(2, 3, 32, 32)
    expected = run(encoder.blocks, 0.8 * image + 0.1)
    if path.suffix == '.safetensors':
        save_file(encoder.state_dict(), path)
    elif path.suffix == '.pth':
        torch.save(encoder.state_dict(), path)
    else:
        torch.save(encoder, path)
    for name in PACKAGE:
        monkeypatch.delitem(sys.modules, name)
    tokenizer = DalleTokenizer(str(path))
    torch.testing.assert_close(tokenizer.logits(image), expected, atol=1e-5, rtol=0)
    assert torch.equal(tokenizer.encode(image), expected.argmax(1))
    assert tokenizer.encode(image).shape == (2, 4, 4)
    assert tokenizer.codes == CODES


class Evil:
    def __reduce__(self):
        return exec, ('raise SystemExit("it ran")',)


def test_a_file_that_wants_to_run_code_is_refused(tmp_path) -> None:
    torch.save(Evil(), tmp_path / 'encoder.pkl')
    with pytest.raises(CheckpointError, match=r'asks to run .*exec'):
        DalleTokenizer(str(tmp_path / 'encoder.pkl'))


def test_mistakes_say_which_file_is_wanted(tmp_path, monkeypatch) -> None:
    with pytest.raises(CheckpointError, match=r'does not exist; give .*cdn.openai.com'):
        DalleTokenizer(str(tmp_path / 'encoder.pkl'))
    torch.save({'weight': torch.zeros(3)}, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='is no DALL-E encoder'):
        DalleTokenizer(str(tmp_path / 'a.pth'))
    (tmp_path / 'b.pkl').write_bytes(b'PK\x03\x04 cut off')
    with pytest.raises(CheckpointError, match='corrupt or truncated'):
        DalleTokenizer(str(tmp_path / 'b.pkl'))
    state = published(monkeypatch).state_dict()
    del state['blocks.group_3.block_2.res_path.conv_2.b']
    torch.save(state, tmp_path / 'c.pth')
    with pytest.raises(CheckpointError, match='no whole DALL-E encoder'):
        DalleTokenizer(str(tmp_path / 'c.pth'))


def test_it_sees_the_size_at_which_its_grid_is_the_student_s(tmp_path, monkeypatch) -> None:
    """BEiT: 112 px of a 224 px image, a token per 16 px."""
    torch.save(published(monkeypatch).state_dict(), tmp_path / 'encoder.pth')
    tokenizer = {'type': 'DalleTokenizer', 'checkpoint': str(tmp_path / 'encoder.pth')}
    target = TokenTarget(tokenizer, interpolation='lanczos')
    target.bind(Student('ViT', (64, 64), 16))
    assert (target.grid, target.view) == ((4, 4), (32, 'lanczos'))
    assert target(torch.rand(2, 3, 64, 64)).values.shape == (2, 4, 4)
    assert target.width == CODES and target.files == (tokenizer['checkpoint'],)
    assert list(target.state_dict()) == ['fingerprint'] and not list(target.parameters())
    same = TokenTarget(DalleTokenizer(tokenizer['checkpoint']))
    same.bind(Student('ViT', (64, 64), 16))
    image = torch.rand(2, 3, 64, 64)
    assert torch.equal(same(image).values, target(image).values)
    fine = TokenTarget(tokenizer, stride=16)  # of a Swin, whose last map has a token per 32 px
    fine.bind(Student('Swin', (64, 64), 32))
    assert (fine.grid, fine.view.size) == ((4, 4), 32)
    with pytest.raises(ValueError, match='DalleTokenizer at 64 px gives a 8x8 grid, ViT has 4x4'):
        TokenTarget(tokenizer, input_size=64).bind(Student('ViT', (64, 64), 16))


class Halves(nn.Module):
    """A tokenizer of any images' left and right half: the least there is to one."""

    codes = 2

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        return torch.arange(2).expand(len(image), 1, 2)


def test_any_module_that_names_tokens_is_a_tokenizer() -> None:
    target = TokenTarget(Halves())
    target.bind(Student('ViT', (16, 32), 16))
    assert target.width == 2 and target.view is None
    assert target(torch.rand(3, 3, 16, 32)).values.tolist() == [[[0, 1]]] * 3


@pytest.mark.parametrize('given', [nn.Linear(1, 1), {'type': 'PixelTarget'}])
def test_what_names_no_tokens_is_refused(given) -> None:
    with pytest.raises(ValueError, match=r'(Linear|PixelTarget) is no tokenizer; .* `encode'):
        TokenTarget(given)
