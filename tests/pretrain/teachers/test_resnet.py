"""ResNets under torchvision's names: timm's of the same names are the oracle."""

import pytest
import timm
import torch
from torch import Tensor, nn

from mim_backbones.errors import UserError
from pretrain.teachers.base import Teacher
from pretrain.teachers.resnet import DEPTHS, ResNetTeacher, published_shapes

NARROW, PUBLISHED = (8, 16, 24, 32), (64, 128, 256, 512)  # channels of the stages


def random_net(name: str, channels=NARROW, **options) -> nn.Module:
    """timm's, with statistics and scales as after a training."""
    net = timm.create_model(name, num_classes=3, channels=channels, **options).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.3, 1)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return net


def write(folder, content, name: str = 'resnet.pth') -> str:
    torch.save(content, folder / name)
    return str(folder / name)


def stage_map(net: nn.Module, image: Tensor, stage: int) -> Tensor:
    """(B, N, T), raster order."""
    (found,) = net.forward_intermediates(image, indices=[stage], intermediates_only=True)
    return found.flatten(2).transpose(1, 2)


@pytest.mark.parametrize(('name', 'size', 'stage'), [
    ('resnet50', 64, 4), ('resnet26', 72, 3), ('resnet18', 96, 4), ('resnet18', 50, 2),
    ('resnet26', 64, 1), ('resnext50_32x4d', 64, 2),
])  # fmt: skip
def test_maps_of_any_v1_are_timm_s(tmp_path, name: str, size: int, stage: int) -> None:
    net = random_net(name, NARROW if name in ('resnet18', 'resnet26') else PUBLISHED)
    teacher = ResNetTeacher(write(tmp_path, net.state_dict()), input_size=size, stage=stage)
    image = torch.rand(2, 3, size, size)
    expected = stage_map(net, teacher.normalise(image), stage)
    found = teacher(image)
    torch.testing.assert_close(found.patches, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.whole, expected.mean(1), atol=1e-5, rtol=1e-5)
    side = -(-size // (2 * 2**stage))
    assert teacher.grid == (side, side) and teacher.embed_dim == expected.shape[-1]
    assert not any(k.startswith(f'net.layer{stage + 1}') for k in teacher.state_dict())


@pytest.mark.parametrize('name', ['resnet50', 'resnet18'])
@pytest.mark.parametrize(('stage', 'stride'), [(4, 16), (3, 8)])
def test_dilated_is_the_same_weights_at_twice_the_grid(tmp_path, name, stage, stride) -> None:
    net = random_net(name, output_stride=stride)
    file = write(tmp_path, net.state_dict())
    teacher = ResNetTeacher(file, stage=stage, dilated=True, input_size=64)
    image = torch.rand(1, 3, 64, 64)
    expected = stage_map(net, teacher.normalise(image), stage)
    torch.testing.assert_close(teacher(image).patches, expected, atol=1e-5, rtol=1e-5)
    assert teacher.grid == (64 // stride, 64 // stride)
    plain = ResNetTeacher(file, stage=stage, input_size=64)
    assert plain.state_dict().keys() == teacher.state_dict().keys()


def test_several_blocks_and_no_more_than_they_need(tmp_path, monkeypatch) -> None:
    net = random_net('resnet18')
    teacher = ResNetTeacher(write(tmp_path, net.state_dict()), input_size=64, blocks=(-3, 4))
    image = torch.rand(2, 3, 64, 64)
    both = teacher(image)
    assert teacher.blocks == (4, 5) and teacher.num_blocks == 2 and teacher.grid == (4, 4)
    assert both.patches.shape == (2, 2, 16, 24) and both.whole.shape == (2, 2, 24)
    expected = stage_map(net, teacher.normalise(image), 3)  # the second block of stage 3 ends it
    torch.testing.assert_close(both.patches[1], expected, atol=1e-5, rtol=1e-5)
    monkeypatch.setattr(teacher.net.layer4, 'forward', None)
    monkeypatch.setattr(teacher.net.layer4[0], 'forward', None)
    assert torch.equal(teacher(image).patches, both.patches)


@pytest.mark.parametrize('wrapped', [
    lambda state: {'state_dict': {f'module.{k}': v for k, v in state.items()}},
    lambda state: {'state_dict': {f'backbone.{k}': v.half() for k, v in state.items()}},
    lambda state: {'teacher': {f'module.backbone.{k}': v for k, v in state.items()},
                   'student': {f'module.backbone.{k}': v * 2 for k, v in state.items()}},
    lambda state: {k: v for k, v in state.items() if not k.startswith('fc.')},
    lambda state: {k: v for k, v in state.items() if 'num_batches' not in k},
])  # fmt: skip
def test_wrappers(tmp_path, wrapped) -> None:
    state = random_net('resnet18').state_dict()
    teacher = ResNetTeacher(write(tmp_path, wrapped(state)), input_size=32)
    for key, value in teacher.net.state_dict().items():
        torch.testing.assert_close(value, state[key], atol=2e-3, rtol=2e-3)


def test_random_weights_are_the_published_nets() -> None:
    counts = {18: 11_176_512, 34: 21_284_672, 50: 23_508_032, 101: 42_500_160, 152: 58_143_808}
    for depth in DEPTHS:
        with torch.device('meta'):
            net = timm.create_model(f'resnet{depth}', num_classes=0)
        theirs = {k: tuple(v.shape) for k, v in net.named_parameters() if v.dim() == 4}
        assert {k: tuple(v) for k, v in published_shapes(depth).items()} == theirs
        assert sum(p.numel() for p in net.parameters()) == counts[depth]
    one, two = (ResNetTeacher(random_weights=True, input_size=32, depth=18) for _ in range(2))
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(one(image).patches, two(image).patches)
    assert isinstance(one, Teacher) and one.embed_dim == 512


def test_what_it_refuses(tmp_path) -> None:
    state = random_net('resnet18').state_dict()
    file = write(tmp_path, state)

    def refused(match: str, content: dict | None = None, **options) -> None:
        given = file if content is None else write(tmp_path, content, 'other.pth')
        with pytest.raises(UserError, match=match) as error:
            ResNetTeacher(given, input_size=64, **options)
        assert '\n' not in str(error.value)

    refused(r'blocks=\(8,\); name different ones of its 8, from 0 to 7', blocks=(8,))
    refused(r'blocks=\(-1, 7\); name different ones', blocks=(-1, 7))
    refused(
        'block 3 gives a 8x8 grid of 16 channels and block 7 a 2x2 grid of 32 channels; '
        'read blocks of one stage', blocks=(-1, 3),
    )  # fmt: skip
    refused(r'stage=5, dilated=False; known: \[1, 2, 3, 4\]', stage=5)
    refused(r'stage=1, dilated=True; known: \[2, 3, 4\]', stage=1, dilated=True)
    refused('holds 0 ResNets; ResNetTeacher wants a ResNet with the names', {'a': torch.ones(1)})
    both = {f'{part}.{k}': v for part in 'ab' for k, v in state.items()}
    refused(r'holds 2 ResNets \(a\., b\.\); ResNetTeacher wants', both)
    early = {k: v for k, v in state.items() if not k.startswith('layer4')}
    refused('holds a ResNet without layer4', early)
    ResNetTeacher(write(tmp_path, early, 'early.pth'), stage=3, input_size=64)
    deep = random_net('resnet18d').state_dict()
    refused('holds a ResNet without conv1.weight', deep)
    refused(r'no plain ResNet: layer1\.0\.se\.', random_net('seresnet18').state_dict())
    lacking = {k: v for k, v in state.items() if k != 'layer2.0.bn2.bias'}
    refused(r'no plain ResNet: layer2\.0\.bn2\.bias differs', lacking)
    refused('holds no plain ResNet', {**state, 'layer3.0.conv2.weight': torch.ones(2, 2, 3, 3)})
    empty = {**state, 'layer1.0.conv2.weight': torch.ones(8, 0, 3, 3)}
    refused('holds no plain ResNet', empty)
    refused('holds NaN or infinity', {**state, 'bn1.bias': state['bn1.bias'] * float('nan')})
    with pytest.raises(UserError, match='ResNetTeacher: no weights; it wants a ResNet'):
        ResNetTeacher()
    with pytest.raises(UserError, match='depth=20; known: 18, 34, 50, 101, 152'):
        ResNetTeacher(random_weights=True, depth=20)
