"""ViTDet's backbone and pyramid, and the rates and weight decays of its optimizer."""

import re
from typing import Any

import pytest
import torch
import torch.nn as nn

from mim_backbones import load_pretrained
from mim_backbones.backbones.feature_pyramid import SimpleFeaturePyramid
from mim_backbones.backbones.layers.attention import axis_table
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.training.layer_decay import LayerDecayConstructor

FAMILY = 'vitdet_backbone'
# As the recipes of ViT-B and ViT-L say it; a residual block's convolutions are new.
PUBLISHED = {'exempt': ['norm1', 'norm2', 'pos_embed'], 'full_rate': ['residual']}


class Detector(nn.Module):
    """Backbone and pyramid with the published weights, as the recipes put them together."""

    def __init__(self, golden: dict[str, Any], image_size: tuple[int, int] | None = None) -> None:
        """image_size: tables are resized once, to these pictures; None: in every pass."""
        super().__init__()
        self.backbone = backbone(golden, image_size)
        self.neck = pyramid(golden)
        # Published name -> ours; a level's parameters come in the published order.
        self.names = {
            name: name.replace('net.', 'backbone.', 1)
            for name in golden['state_dict'] if name.startswith('net.')
        }  # fmt: skip
        vit = golden['config']['vit']
        for number, scale in enumerate(golden['config']['pyramid']['scale_factors']):
            stride = round(vit['patch_size'] / scale)
            prefix = f'simfp_{stride.bit_length() - 1}.'
            theirs = [name for name in golden['state_dict'] if name.startswith(prefix)]
            level = self.neck.levels[number]
            own = list(level.state_dict())
            self.names |= {a: f'neck.levels.{number}.{b}' for a, b in zip(theirs, own, strict=True)}
            values = [golden['state_dict'][name] for name in theirs]
            level.load_state_dict(dict(zip(own, values, strict=True)))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.neck(self.backbone(image))


def backbone(golden: dict[str, Any], image_size: tuple[int, int] | None) -> MIMViT:
    config = golden['config']['vit']
    depth, windows = config['depth'], config['window_block_indexes']
    vit = MIMViT(
        {'embed_dim': config['embed_dim'], 'depth': depth, 'num_heads': config['num_heads']},
        img_size=image_size or config['img_size'],
        pos_embed_size=None if image_size else config.get('pretrain_img_size', 224),
        patch_size=config['patch_size'],
        in_channels=config.get('in_chans', 3),
        cls_token=False,
        pos_embed='learned' if config.get('use_abs_pos', True) else 'none',
        decomposed_rel_pos=config.get('use_rel_pos', False),
        window_size=config['window_size'],
        global_blocks=[i for i in range(depth) if i not in windows],
        mlp_ratio=config.get('mlp_ratio', 4.0),
        qkv_bias='joint' if config.get('qkv_bias', True) else 'none',
        norm_eps=config.get('norm_eps', 1e-6),
        final_norm=False,
    ).eval()
    state = {f'backbone.{name}': value for name, value in golden['state_dict'].items()}
    report = load_pretrained(vit, state)
    assert report.missing == report.unexpected == []
    return vit


def pyramid(golden: dict[str, Any]) -> SimpleFeaturePyramid:
    config, vit = golden['config']['pyramid'], golden['config']['vit']
    return SimpleFeaturePyramid(
        vit['embed_dim'],
        config['out_channels'],
        vit['patch_size'],
        strides=[round(vit['patch_size'] / scale) for scale in config['scale_factors']],
        extra_levels=int(config.get('top_block') == 'LastLevelMaxPool'),
        ceil_mode=False,
    ).eval()


def cases(*fields: str):
    """field(content): case and field, of every case that has it."""

    def named(content: dict[str, Any]) -> list[str]:
        found = content.get('cases', {}).items()
        return [f'{name}.{f}' for name, case in found for f in fields if f in case]

    named.__name__ = f'cases.*.{fields[0]}'
    return named


@pytest.fixture(params=[False, True], ids=['in every pass', 'once'])
def resized_once(request: pytest.FixtureRequest) -> bool:
    """When the position tables are resized: with the weights, or in every pass as published."""
    return request.param


@pytest.fixture
def case(golden, field) -> dict[str, Any]:
    return golden['cases'][field.split('.')[0]]


@pytest.fixture
def detector(golden, case, resized_once) -> Detector:
    return Detector(golden, tuple(case['image'].shape[-2:]) if resized_once else None)


@pytest.mark.golden(FAMILY, each=cases('abs_pos'))
def test_positions(field, same, case, detector) -> None:
    vit, image = detector.backbone, case['image']
    with torch.no_grad():
        patches = vit.patch_embed(image).flatten(2).transpose(1, 2)
        found = (vit.embed_patches(image) - patches).unflatten(1, tuple(case['grid']))
    same(field, found, case['abs_pos'], atol=1e-6)


@pytest.mark.golden(FAMILY, each=cases('global_rel_pos'))
def test_tables_of_global_blocks(field, same, case, detector) -> None:
    expected = case['global_rel_pos']
    attention = detector.backbone.blocks[expected['block']].attn
    for axis, size in zip(('rel_pos_h', 'rel_pos_w'), case['grid'], strict=True):
        found = axis_table(getattr(attention, axis), size)
        same(f'{field}.{axis}', found, expected[axis], atol=1e-6)


@pytest.mark.golden(FAMILY, each=cases('block_outputs', 'last_feat'))
def test_blocks(field, same, case, detector) -> None:
    vit, kind = detector.backbone, field.split('.')[1]
    with torch.no_grad():
        if kind == 'last_feat':
            (found,) = vit(case['image'])
        else:
            tokens = vit.block_tokens(case['image'], range(vit.depth))
            found = [each.unflatten(1, tuple(case['grid'])) for each in tokens]
    same(field, found, case[kind], atol=3e-5)


@pytest.mark.golden(FAMILY, each=cases('pyramid'))
def test_pyramid(field, same, case, detector) -> None:
    with torch.no_grad():
        found = detector(case['image'])
    same(field, list(found), [case['pyramid'][level] for level in levels(case)], atol=3e-5)


@pytest.mark.golden(FAMILY, each=cases('loss', 'grads'))
def test_loss_and_gradients(golden, field, same, case) -> None:
    detector = Detector(golden)
    loss = 0.0
    for level, found in zip(levels(case), detector(case['image']), strict=True):
        probe = case['probe'][level]
        channel, row, column = (probe[axis] for axis in ('channel', 'row', 'col'))
        weights = channel[:, None, None] * row[:, None] * column
        loss = loss + (found * weights).mean()
    if field.endswith('.loss'):
        same(field, loss, case['loss'], atol=1e-5)
        return
    loss.backward()
    for name, expected in case['grads'].items():
        found = detector.get_parameter(detector.names[name]).grad
        if name == 'net.pos_embed':  # the row of the CLS token, which nothing reads, is gone
            assert not expected[:, : expected.shape[1] - found.shape[1]].any()
            expected = expected[:, -found.shape[1] :]
        same(f'{field}.{name}', found, expected, atol=1e-4 * float(expected.abs().max()))


def levels(case: dict[str, Any]) -> list[str]:
    """Fine to coarse."""
    return sorted(case['pyramid'], key=lambda level: int(level[1:]))


# ------------------------------------------------------------------ optimizer


def settings(golden: dict[str, Any], model: nn.Module) -> dict[str, dict[str, float]]:
    """Our parameter -> lr and weight_decay that the constructor gives it."""
    optimizer = dict(
        type='AdamW',
        lr=golden.get('optimizer_base_lr', 1.0),
        weight_decay=golden.get('optimizer_weight_decay', 0.1),
    )
    paramwise = dict(PUBLISHED, layer_decay=golden['lr_decay_rate'])
    wrapper = LayerDecayConstructor({'optimizer': optimizer}, paramwise)(model)
    return {
        name: {key: group[key] for key in ('lr', 'weight_decay')}
        for group in wrapper.optimizer.param_groups
        for name in group['names']
    }


def ours(detector: Detector, name: str) -> str:
    """Of a name inside the published detector, whose backbone holds the pyramid."""
    return detector.names[name.removeprefix('backbone.')]


@pytest.mark.golden(FAMILY, needs=['lr_rates', 'lr_decay_rate'])
def test_rates(golden) -> None:
    detector = Detector(golden)
    found = settings(golden, detector)
    base = golden.get('optimizer_base_lr', 1.0)
    assert len(found) == len(golden['lr_rates'])
    for name, rate in golden['lr_rates'].items():
        own = found[ours(detector, name)]['lr']
        assert own == pytest.approx(base * rate, rel=1e-12), name


@pytest.mark.golden(FAMILY, needs=['lr_rates_other_names', 'lr_decay_rate'])
def test_rates_of_other_names(golden) -> None:
    """What no backbone of this project holds has the full rate, whatever it is called."""
    detector = Detector(golden)
    places = {}
    for name in golden['lr_rates_other_names']:
        places[name] = place = re.sub(r'^backbone\.net\.', 'backbone.', name)
        attach(detector, place)
    found, base = settings(golden, detector), golden.get('optimizer_base_lr', 1.0)
    for name, rate in golden['lr_rates_other_names'].items():
        assert found[places[name]]['lr'] == pytest.approx(base * rate, rel=1e-12), name


def attach(model: nn.Module, name: str) -> None:
    """Make sure that there is a parameter of this name."""
    *path, last = name.split('.')
    for part in path:
        if not hasattr(model, part):
            model.add_module(part, nn.Module())
        model = getattr(model, part)
    if not hasattr(model, last):
        model.register_parameter(last, nn.Parameter(torch.zeros(2, 2)))


@pytest.mark.golden(FAMILY, needs=['optimizer_params'])
def test_groups(golden) -> None:
    detector = Detector(golden)
    found = settings(golden, detector)
    assert len(found) == len(golden['optimizer_params'])
    for name, expected in golden['optimizer_params'].items():
        own = found[ours(detector, name)]
        assert own == pytest.approx(expected, rel=1e-12), name
