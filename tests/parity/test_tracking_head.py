"""OSTrack's head on the features of its own backbone."""

from typing import Any

import pytest
import torch
from torch import Tensor

from downstream.tracking.head import CenterHead, HeadMaps

TOWERS = {'ctr': 'score', 'size': 'size', 'offset': 'offset'}


def ours(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """box_head.conv3_ctr.0.weight -> score.2.0.weight; the offset and size towers alike."""
    state = {}
    for key, value in official.items():
        if key.startswith('box_head.conv'):
            layer, rest = key.removeprefix('box_head.conv').split('.', 1)
            number, tower = layer.split('_')
            state[f'{TOWERS[tower]}.{int(number) - 1}.{rest}'] = value
    return state


def with_features(content: dict[str, Any]) -> list[str]:
    return [name for name, case in content['outputs'].items() if 'backbone_feat' in case]


@pytest.mark.golden('tracking_ostrack_forward', needs=['config', 'outputs'], each=with_features)
def test_maps(golden, field, same) -> None:
    state, expected = ours(golden['state_dict']), golden['outputs'][field]
    channels, width = state['score.0.0.weight'].shape[:2]
    head = CenterHead(width, channels).eval()
    head.load_state_dict(state)
    cells = golden['config']['search_size'] // golden['config']['stride']
    search = expected['backbone_feat'][:, -cells * cells :]
    with torch.no_grad():
        maps = head(search.transpose(1, 2).unflatten(2, (cells, cells)))
    for name in HeadMaps._fields:
        same(name, getattr(maps, name), expected[f'{name}_map'], rtol=1e-5)
