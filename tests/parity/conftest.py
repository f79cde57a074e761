"""What several parity tests build from a golden file. The files: tests/golden_files.py."""

from collections.abc import Callable
from typing import Any

import pytest

from mim_backbones.backbones.vit import MIMViT
from mim_backbones.checkpoints.report import LoadReport

VIT_EPS = 1e-6  # of every published ViT here; a file that does not say it has it
NONE = (None, 'none', 0)


@pytest.fixture
def official_vit() -> Callable[..., MIMViT]:
    """official_vit(config, **options): a MIMViT from the argument names of BEiT and SimMIM.

    What a config leaves out is as in the published recipes.
    """

    def build(config: dict[str, Any], **options: Any) -> MIMViT:
        own = config.get('use_rel_pos_bias')
        shared = config.get('use_shared_rel_pos_bias')
        scale = config.get('init_values')
        given = {
            'arch': {key: config[key] for key in ('embed_dim', 'depth', 'num_heads')},
            'img_size': config.get('img_size'),
            'patch_size': config['patch_size'],
            'in_channels': config.get('in_chans', 3),
            'pos_embed': 'learned' if config.get('use_abs_pos_emb') else 'none',
            'rel_pos_bias': 'per_block' if own else 'shared' if shared else 'none',
            'qkv_bias': 'qv' if config.get('qkv_bias', True) else 'none',
            'layer_scale': None if scale in NONE else scale,
            'mlp_ratio': config.get('mlp_ratio', 4.0),
            'norm_eps': config.get('norm_eps', VIT_EPS),
        }
        return MIMViT(**{**given, **options}).eval()

    return build


@pytest.fixture
def unseen() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """unseen(golden): what no shape of its state dict shows, as options of `from_checkpoint`."""

    def options(golden: dict[str, Any]) -> dict[str, Any]:
        config, state = golden['config'], golden['state_dict']
        tables = any(key.endswith('relative_position_bias_table') for key in state)
        hidden = {} if tables else {'num_heads': config['num_heads']}
        return {'norm_eps': config.get('norm_eps', VIT_EPS), **hidden}

    return options


@pytest.fixture
def left_out() -> Callable[[LoadReport], set[str]]:
    """Keys of the file that a load ignored, without the prefix the backbone had there."""

    def collect(report: LoadReport) -> set[str]:
        assert report.unexpected == report.missing == []
        return {key for keys in report.ignored.values() for key in keys}

    return collect


@pytest.fixture
def own_table() -> Callable[[str], str]:
    """own_table(name): our name of a relative table that a published block keeps in `attn`."""

    def rename(name: str) -> str:
        table = '.relative_position_bias_table'
        return name.replace(f'.attn{table}', f'.rel_pos_bias{table}')

    return rename
