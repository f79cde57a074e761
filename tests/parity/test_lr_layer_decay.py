"""Learning rates and weight decays of the published optimizers, parameter by parameter."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch.nn as nn
from mmengine.config import Config

from mim_backbones.backbones.swin import MIMSwin
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.registry import MODELS
from mim_backbones.training.layer_decay import parameter_groups

SMALL = {'embed_dim': 4, 'depths': (2, 2, 18, 2), 'num_heads': (1, 1, 1, 1)}
ROOT = Path(__file__).parents[2]
TABLES = 'relative_position_bias_table'
# What published code does against its authors' intent, or where it differs from our default.
PUBLISHED: dict[str, dict[str, Any]] = {
    'simmim_finetune_vit': {'decayed': [TABLES]},
    'simmim_finetune_swin': {'full_rate': ['absolute_pos_embed']},
    'simmim_pretrain_vit': {'decayed': [TABLES, 'mask_token']},
    'simmim_pretrain_swinv2': {'decayed': ['cpb_mlp', 'logit_scale']},
    'simmim_pretrain_swin': {'decayed': [TABLES]},
    'mae_finetune_vit': {},
    'beit_finetune_vit': {'decayed': [TABLES]},
}


def ours(name: str) -> str:
    """Our name, in a model of `backbone` and `head`, of a published parameter."""
    if name.startswith(('head.', 'decoder.')):
        return 'head.' + name.rpartition('.')[2]
    name = name.removeprefix('encoder.')
    return 'backbone.' + re.sub(
        rf'^(blocks\.\d+)\.attn\.{TABLES}', rf'\1.rel_pos_bias.{TABLES}', name
    )


class Model(nn.Module):
    """The backbone that has the published parameters, and a head."""

    def __init__(self, names: set[str], layer_ids: int | None) -> None:
        super().__init__()
        self.backbone = swin(names) if any('.downsample.' in n for n in names) else vit(names)
        self.head = nn.Linear(8, 2)
        if layer_ids is not None:
            depth, count = self.backbone.get_layer_depth('head.weight', 'backbone.')
            assert count == layer_ids == depth + 1


def vit(names: set[str]) -> MIMViT:
    def some(pattern: str) -> bool:
        return any(re.search(pattern, name) for name in names)

    depth = len({m[1] for name in names if (m := re.search(r'blocks\.(\d+)\.', name))})
    per_block, shared = some(rf'attn\.{TABLES}'), some(rf'rel_pos_bias\.{TABLES}')
    return MIMViT(
        {'embed_dim': 8, 'depth': depth, 'num_heads': 1},
        img_size=32,
        pos_embed='learned' if some('pos_embed') else 'none',
        rel_pos_bias='per_block' if per_block else 'shared' if shared else 'none',
        mask_token=some('mask_token'),
        qkv_bias='qv' if some('q_bias') else 'joint',
        layer_scale=0.1 if some('gamma_1') else None,
        final_norm=some(r'^(encoder\.)?norm\.'),
        fc_norm=some('fc_norm'),
    )


def swin(names: set[str]) -> MIMSwin:
    blocks = {m.groups() for n in names if (m := re.search(r'layers\.(\d)\.blocks\.(\d+)', n))}
    depths = tuple(sum(stage == str(i) for stage, _ in blocks) for i in range(4))
    return MIMSwin(
        {'embed_dim': 4, 'depths': depths, 'num_heads': (1, 1, 1, 1)},
        img_size=64,
        window_size=2,
        version=2 if any('logit_scale' in n for n in names) else 1,
        absolute_pos_embed=any('absolute_pos_embed' in n for n in names),
        mask_token=any('mask_token' in n for n in names),
    )


def rates(model: Model, config: dict[str, Any], **switches: Any) -> dict[str, tuple[float, float]]:
    """name -> (scale of the rate, weight decay)."""
    decay = config.get('layer_decay', 1.0)
    groups = parameter_groups(model, 1.0, config['weight_decay'], decay, **switches)
    return {name: (g['lr_scale'], g['weight_decay']) for g in groups for name in g['names']}


@pytest.mark.golden('lr_layer_decay', each=list)
def test_every_parameter(golden, field) -> None:
    key, case = field, golden[field]
    switches = next(s for name, s in PUBLISHED.items() if key.startswith(name))
    if key.endswith('disable_wd_on_rpb'):
        switches = {}  # BEiT's own switch, our default
    config, params = case['config'], case['params']
    model = Model(set(params), config.get('num_layer_ids'))
    found = rates(model, config, **switches)
    assert {ours(name) for name in params} == set(found), key
    for name, expected in params.items():
        scale, decay = found[ours(name)]
        assert scale == pytest.approx(expected['lr_scale'], abs=1e-12), (key, name)
        assert decay == expected['weight_decay'], (key, name)
        if 'layer_id' in expected and not name.startswith('head'):
            if expected['lr_scale'] == 1 and name.rpartition('.')[2] in switches.get(
                'full_rate', ()
            ):
                continue
            depth, _ = model.backbone.get_layer_depth(ours(name), 'backbone.')
            assert depth == expected['layer_id'], (key, name)


RECIPES = {
    'simmim_pretrain_swinv2': 'configs/pretrain/simmim_swinv2-b_800e.py',
    'simmim_pretrain_swin': 'configs/pretrain/simmim.py',
    'simmim_pretrain_vit': 'configs/pretrain/simmim_vit-b_800e.py',
}


def recipe_of(key: str) -> str | None:
    return next((path for name, path in RECIPES.items() if key.startswith(name)), None)


def of_a_recipe(content: dict[str, Any]) -> list[str]:
    return [key for key in content if recipe_of(key)]


@pytest.mark.golden('lr_layer_decay', each=of_a_recipe)
def test_pre_training_recipes_decay_what_the_released_code_decays(golden, field) -> None:
    """How much is the file's: what it decays is what the recipe does."""
    case = golden[field]
    wrapper = Config.fromfile(ROOT / recipe_of(field)).optim_wrapper
    found = rates(Model(set(case['params']), None), case['config'], **wrapper.paramwise_cfg)
    for name, expected in case['params'].items():
        assert found[ours(name)] == (1.0, expected['weight_decay']), name


FINE_TUNING = {
    'simmim_finetune_vit_perlayer_rpb': 'classifier_vit-b_simmim-pre_100e_in1k-224.py',
    'simmim_finetune_swin': 'classifier_swin-b_simmim-pre_100e_in1k-224.py',
    'mae_finetune_vit_global_pool': 'classifier_vit-b_mae-pre_100e_in1k-224.py',
    'mae_finetune_vit_cls_token': 'classifier_vit-b_mocov3-pre_150e_in1k-224.py',
    'beit_finetune_vit_perlayer_rpb': 'classifier_vit-b_beitv2-pre_100e_in1k-224.py',
}


def of_fine_tuning(content: dict[str, Any]) -> list[str]:
    return [k for k in content if k.startswith(tuple(FINE_TUNING)) and not k.endswith('wd_on_rpb')]


@pytest.mark.golden('lr_layer_decay', each=of_fine_tuning)
def test_fine_tuning_recipes_have_the_released_groups(golden, field) -> None:
    """The layer decay is the file's; what it reaches, and what is decayed, the recipe's."""
    case = golden[field]
    recipe = next(path for name, path in FINE_TUNING.items() if field.startswith(name))
    wrapper = Config.fromfile(ROOT / 'configs/downstream/classification' / recipe).optim_wrapper
    switches = {k: v for k, v in wrapper.paramwise_cfg.items() if k != 'layer_decay'}
    found = rates(Model(set(case['params']), None), case['config'], **switches)
    for name, expected in case['params'].items():
        wanted = (pytest.approx(expected['lr_scale'], abs=1e-12), expected['weight_decay'])
        assert found[ours(name)] == wanted, name


def test_the_swinv2_recipe_decays_the_72_tensors_that_were_meant_to_be_exempt() -> None:
    cfg = Config.fromfile(ROOT / RECIPES['simmim_pretrain_swinv2'])
    backbone = MODELS.build({**cfg.model.backbone, 'arch': SMALL})
    groups = parameter_groups(backbone, 1.0, 0.05, **cfg.optim_wrapper.paramwise_cfg)
    decay = {name: g['weight_decay'] for g in groups for name in g['names']}
    meant = {name for name in backbone.no_weight_decay() if 'bias' not in name} - {'mask_token'}
    assert len(meant) == 72
    assert {decay[name] for name in meant} == {0.05}
    assert decay['mask_token'] == 0


@pytest.mark.golden('lr_layer_decay')
def test_by_default_tokens_and_positions_start_the_network_and_are_not_decayed(golden) -> None:
    for case in golden.values():
        model = Model(set(case['params']), None)
        found = rates(model, case['config'])
        for name in case['params']:
            scale, decay = found[ours(name)]
            last = name.rpartition('.')[2]
            if last in (TABLES, 'mask_token', 'pos_embed', 'absolute_pos_embed', 'cls_token'):
                assert decay == 0, name
            if last in ('pos_embed', 'absolute_pos_embed'):
                assert scale == min(s for s, _ in found.values()), name
