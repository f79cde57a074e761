"""ResNets under torchvision's names (layer1.0.conv1, downsample.0): DINO's ResNet-50 and others.

conv 7x7/2, max pool 3x3/2, four stages of residual blocks, strides 4, 8, 16, 32; what is read is
behind a block's last ReLU
paper: He et al., arXiv 1512.03385; the stride stands in the 3x3 convolution, as in torchvision;
as a teacher of masked image modelling: Img2Vec, arXiv 2304.12535

How a 7x7 map comes to a student's 14x14: input_size=448, stage=3, or dilated=True; or an aligner.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import Any

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.checkpoints.agreement import refuse_broken
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content, open_source
from mim_backbones.errors import UserError
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from pretrain.registry import MODELS
from pretrain.teachers.base import Features, Teacher, features_of, numbered, one_shape
from pretrain.teachers.weights import check_choice, drawn_alike

Shapes = Mapping[str, Sequence[int]]  # of weights, by name
STAGES = 4
DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3),
          152: (3, 8, 36, 3)}  # fmt: skip
WANTED = (
    'a ResNet with the names of torchvision: of DINO, dino_resnet50_pretrain.pth (the address is '
    "in the table of facebookresearch/dino's README, column `backbone only`)"
)


@MODELS.register_module()
class ResNetTeacher(Teacher):
    """Maps of a ResNet's blocks, their mean over positions beside; batch norm never learns.

    Args:
        checkpoint: file; widths and depths are read from its shapes, `fc.*` may be there. Of a file
            with student and teacher the teacher is taken.
        random_weights: do without a file, to try things out.
        stage: 1 to 4, where it ends; nothing behind that is built or run.
        dilated: stride 1 in that stage and a dilation of 2 behind it: twice the grid of the same
            weights.
        input_size: side in pixels.
        mean, std: per channel, of images in [0, 1]; ImageNet's by default.
        blocks: which residual blocks are read, counted over all stages up to `stage`; negative
            from the end.
        depth: layers of a random one: 18, 34, 50, 101 or 152.

    Raises:
        UserError: no weights or both kinds, a file that holds no ResNet, no such stage or depth, or
            blocks that are not there or have maps of different shapes.
    """

    def __init__(
        self,
        checkpoint: str | None = None,
        random_weights: bool = False,
        stage: int = 4,
        dilated: bool = False,
        input_size: int = 224,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        blocks: Sequence[int] = (-1,),
        depth: int = 50,
    ) -> None:
        super().__init__(input_size, mean, std)
        check_choice('ResNetTeacher', checkpoint, random_weights, WANTED)
        known = range(2 if dilated else 1, STAGES + 1)
        if stage not in known:
            raise UserError(f'ResNetTeacher: stage={stage}, dilated={dilated}; known: {[*known]}')
        if checkpoint is not None:
            self.net = loaded(open_source(checkpoint), stage, dilated)
        elif depth in DEPTHS:
            self.net = drawn_alike(lambda: drawn(ResNet(published_shapes(depth), stage, dilated)))
        else:
            raise UserError(f'ResNetTeacher: depth={depth}; known: {", ".join(map(str, DEPTHS))}')
        self.net.eval()
        self.stage, self.dilated, self.whole = stage, dilated, True
        self.blocks = numbered('ResNetTeacher', blocks, len(self.net.maps))
        maps = {}
        for block in self.blocks:
            width, stride = self.net.maps[block]
            side = -(-input_size // stride)
            maps[block] = (width, side, side)
        self.embed_dim, self.grid = one_shape('ResNetTeacher', maps)

    def features(self, image: Tensor) -> Features:
        return features_of([x.flatten(2).transpose(1, 2) for x in self.net(image, self.blocks)])

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), 'stage': self.stage, 'dilated': self.dilated}


class ResNet(nn.Module):
    """image (B, 3, H, W) -> maps (B, C, ceil(H/s), ceil(W/s)) of some blocks.

    Args:
        shapes: of its convolutions' weights, which say widths, depths and kinds of blocks.
        stage, dilated: see `ResNetTeacher`.

    Attributes:
        maps: channels and stride of each block's map.
    """

    def __init__(self, shapes: Shapes, stage: int, dilated: bool) -> None:
        super().__init__()
        width = shapes['conv1.weight'][0]
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maps: list[tuple[int, int]] = []
        stride = 4
        for number in range(1, stage + 1):
            wide = dilated and number == stage
            step = 1 if wide or number == 1 else 2
            stride *= step
            layer = nn.Sequential()
            while f'layer{number}.{len(layer)}.conv1.weight' in shapes:
                name = f'layer{number}.{len(layer)}.'
                own = {k.removeprefix(name): v for k, v in shapes.items() if k.startswith(name)}
                # What had the stride keeps its taps when that goes; what follows spreads them.
                first, second = (2 if wide and len(layer) else 1), (2 if wide else 1)
                block = ResNetBlock(own, width, 1 if len(layer) else step, first, second)
                layer.append(block)
                width = block.width
                self.maps.append((width, stride))
            self.add_module(f'layer{number}', layer)

    def forward(self, image: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        """blocks: in order; none behind the last of them runs."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, 2, 1)
        layers = (layer for name, layer in self.named_children() if name.startswith('layer'))
        found = []
        for i, block in enumerate(islice(chain.from_iterable(layers), max(blocks) + 1)):
            x = block(x)
            if i in blocks:
                found.append(x)
        return found


class ResNetBlock(nn.Module):
    """relu(x + convolutions of x): two of 3x3, or 1x1, 3x3, 1x1, as the shapes say.

    Args:
        shapes: of the weights conv1, conv2, perhaps conv3 and downsample.0.
        width: channels of x.
        stride: of the first 3x3 convolution, and of the way around.
        first, second: dilations of the first 3x3 convolution and of another one.
    """

    def __init__(self, shapes: Shapes, width: int, stride: int, first: int, second: int) -> None:
        super().__init__()
        self.convolutions = 3 if 'conv3.weight' in shapes else 2
        self.width, step, dilation = width, stride, first
        for i in range(1, self.convolutions + 1):
            out, per_group, kernel, _ = shapes[f'conv{i}.weight']
            groups = self.width // per_group
            if kernel == 1:
                conv = nn.Conv2d(self.width, out, 1, groups=groups, bias=False)
            else:
                conv = nn.Conv2d(self.width, out, 3, step, dilation, dilation, groups, bias=False)
                step, dilation = 1, second
            self.add_module(f'conv{i}', conv)
            self.add_module(f'bn{i}', nn.BatchNorm2d(out))
            self.width = out
        self.downsample = None
        if 'downsample.0.weight' in shapes:
            around = nn.Conv2d(width, self.width, 1, stride, bias=False)
            self.downsample = nn.Sequential(around, nn.BatchNorm2d(self.width))

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.downsample is None else self.downsample(x)
        for i in range(1, self.convolutions + 1):
            x = getattr(self, f'bn{i}')(getattr(self, f'conv{i}')(x))
            x = F.relu(x + around if i == self.convolutions else x)
        return x


def published_shapes(depth: int) -> Shapes:
    """Of the convolutions of ResNet-18 to ResNet-152 (arXiv 1512.03385, table 1)."""
    shapes: dict[str, tuple[int, ...]] = {'conv1.weight': (64, 3, 7, 7)}
    width = 64
    for stage, count in enumerate(DEPTHS[depth]):
        inner = 64 * 2**stage
        for i in range(count):
            name = f'layer{stage + 1}.{i}.'
            plan = [(inner, 1), (inner, 3), (4 * inner, 1)] if depth >= 50 else [(inner, 3)] * 2
            into = width
            for k, (out, kernel) in enumerate(plan, 1):
                shapes[f'{name}conv{k}.weight'] = (out, into, kernel, kernel)
                into = out
            if not i and (stage or into != width):
                shapes[f'{name}downsample.0.weight'] = (into, width, 1, 1)
            width = into
    return shapes


def drawn(net: ResNet) -> ResNet:
    """He's normal start, as torchvision's."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
    return net


def loaded(content: Content, stage: int, dilated: bool) -> ResNet:
    """The network of a file, up to a stage.

    Raises:
        CheckpointError: it holds no ResNet or several, ends before that stage, or is a variant with
            parts or shapes of its own.
    """
    name, first = content.name, 'layer1.0.conv1.weight'
    found = [key.removesuffix(first) for key in content.tensors if key.endswith(first)]
    found = [prefix for prefix in found if 'teacher.' in prefix] or found
    if len(found) != 1:
        which = f' ({", ".join(found)})' if found else ''
        raise CheckpointError(
            f'checkpoint {name} holds {len(found)} ResNets{which}; ResNetTeacher wants {WANTED}'
        )
    wanted = ('conv1.', 'bn1.', *(f'layer{number}.' for number in range(1, stage + 1)))
    state = {key.removeprefix(found[0]): value for key, value in content.tensors.items()}
    state = {key: value for key, value in state.items() if key.startswith(wanted)}
    if 'conv1.weight' not in state or f'layer{stage}.0.conv1.weight' not in state:
        lacks = 'conv1.weight' if 'conv1.weight' not in state else f'layer{stage}'
        raise CheckpointError(f'checkpoint {name} holds a ResNet without {lacks}')
    refuse_broken(state, name)
    try:
        net = ResNet({key: value.shape for key, value in state.items()}, stage, dilated)
        result = net.load_state_dict(state, strict=False)
    except (RuntimeError, KeyError, ValueError, ArithmeticError) as error:
        why = str(error).splitlines()[-1].strip()
        raise CheckpointError(f'checkpoint {name} holds no plain ResNet: {why}') from error
    # Files of old versions do not count batches.
    missing = [key for key in result.missing_keys if not key.endswith('num_batches_tracked')]
    for key in (*missing, *result.unexpected_keys):
        raise CheckpointError(f'checkpoint {name} holds no plain ResNet: {key} differs')
    return net
