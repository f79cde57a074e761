"""Hiera's four maps, with the last stage pooled and not."""

from typing import Any

import pytest

from mim_backbones import load_pretrained
from mim_backbones.backbones.hiera import MIMHiera


def pooled_stages(content: dict[str, Any]) -> list[str]:
    return [name for name in content if name.startswith('features_q')]


@pytest.mark.golden('hiera', needs=['features_image'], each=pooled_stages)
def test_maps(golden, field, same) -> None:
    config = golden['config']
    stages = config['stages']
    backbone = MIMHiera(
        {'embed_dim': config['embed_dim'], 'depths': stages, 'num_heads': config['num_heads']},
        img_size=tuple(config['input_size']),
        q_pool=int(field.removeprefix('features_q')),
        out_indices=range(len(stages)),
    ).eval()
    report = load_pretrained(backbone, golden['state_dict'])
    assert report.missing == report.unexpected == []
    maps = [each.permute(0, 2, 3, 1) for each in backbone(golden['features_image'])]
    same(field, maps, golden[field])
