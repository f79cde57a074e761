import pytest
import torch.nn as nn

from mim_backbones.backbones.swin import MIMSwin
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.training.layer_decay import LayerDecayConstructor, group_table, parameter_groups


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        size = {'embed_dim': 32, 'depth': 3, 'num_heads': 2}
        self.backbone = MIMViT(size, img_size=32, patch_size=8)
        self.head = nn.Linear(32, 4)


def test_rates_fall_with_depth_by_hand() -> None:
    groups = parameter_groups(Detector(), lr=1.0, weight_decay=0.05, layer_decay=0.5)
    found = {name: (g['lr'], g['weight_decay']) for g in groups for name in g['names']}
    # Five depths for three blocks: embedding 0, blocks 1..3, norm 4.
    assert found['backbone.patch_embed.proj.weight'] == (0.5**4, 0.05)
    assert found['backbone.pos_embed'] == (0.5**4, 0.0)
    assert found['backbone.blocks.0.mlp.fc1.weight'] == (0.5**3, 0.05)
    assert found['backbone.blocks.2.mlp.fc1.bias'] == (0.5, 0.0)
    assert found['backbone.norm.weight'] == (1.0, 0.0)
    assert found['head.weight'] == (1.0, 0.05)
    assert len(found) == len(list(Detector().parameters()))


def test_frozen_parameters_are_left_out_and_backbone_rates_scale() -> None:
    model = Detector()
    model.backbone.patch_embed.requires_grad_(False)
    groups = parameter_groups(model, 1.0, 0.05, layer_decay=1.0, backbone_lr_mult=0.1)
    found = {name: g['lr'] for g in groups for name in g['names']}
    assert 'backbone.patch_embed.proj.weight' not in found
    assert found['backbone.blocks.1.attn.qkv.weight'] == pytest.approx(0.1)
    assert found['head.bias'] == 1.0
    assert 'head.bias' in group_table(groups)


def test_a_part_within_a_name_can_be_decayed() -> None:
    size = {'embed_dim': 8, 'depths': (1, 1), 'num_heads': (1, 1)}
    swin = MIMSwin(size, img_size=32, window_size=2, version=2)
    groups = parameter_groups(swin, 1.0, 0.05, decayed=['cpb_mlp', 'logit_scale'])
    decay = {name: g['weight_decay'] for g in groups for name in g['names']}
    continuous = {name for name in decay if 'cpb_mlp' in name or 'logit_scale' in name}
    assert {name for name in continuous if not decay[name]} == {
        f'layers.{stage}.blocks.0.attn.cpb_mlp.0.bias' for stage in (0, 1)
    }
    groups = parameter_groups(swin, 1.0, 0.05)
    assert all(g['weight_decay'] == 0 for g in groups for n in g['names'] if n in continuous)


def test_the_constructor_builds_the_wrapper_and_refuses_unknown_keys() -> None:
    config = dict(
        type='mim_backbones.AutoPrecisionOptimWrapper',
        optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.1),
    )
    wrapper = LayerDecayConstructor(config, dict(layer_decay=0.75))(Detector())
    rates = {group['lr'] for group in wrapper.optimizer.param_groups}
    assert max(rates) == 1e-3
    assert min(rates) == pytest.approx(1e-3 * 0.75**4)
    with pytest.raises(TypeError, match='layer_decai'):
        LayerDecayConstructor(config, dict(layer_decai=0.75))


def test_exempt_names_all_that_is_not_decayed() -> None:
    groups = parameter_groups(Detector(), 1.0, 0.1, exempt=['norm1', 'norm2', 'pos_embed'])
    spared = {name for g in groups if not g['weight_decay'] for name in g['names']}
    blocks = {f'backbone.blocks.{i}.norm{n}.{p}' for i in range(3) for n in (1, 2)
              for p in ('weight', 'bias')}  # fmt: skip
    assert spared == {'backbone.pos_embed', *blocks}
    assert all(g['weight_decay'] == 0.1 for g in parameter_groups(Detector(), 1.0, 0.1, exempt=[]))
    with pytest.raises(TypeError, match='exclude each other'):
        LayerDecayConstructor({'optimizer': {}}, dict(decayed=['head'], exempt=[]))
