"""OSTrack's whole network, with and without candidates that leave."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from downstream.tracking.elimination import Elimination, tokens_in_box
from downstream.tracking.head import HeadMaps, decode
from downstream.tracking.ostrack import build_ostrack

FAMILY = 'tracking_ostrack_forward'
RANGES = {'CTR_POINT': 'centre', 'CTR_REC': 'centre-square', 'GT_BOX': 'box', 'ALL': 'all'}
# What a case of a name asks of the template, and the share that stays when it says one.
ASKED = {'ctr_point': 'centre', 'ctr_rec': 'centre-square', 'gt_box': 'box', 'all_tokens': 'all'}


def cases(content: dict[str, Any]) -> list[str]:
    return list(content.get('outputs', {}))


def asked(name: str) -> str:
    return next((ours for theirs, ours in ASKED.items() if theirs in name), 'centre')


def share_of(name: str) -> float | None:
    """ce_keep_rate_0p85 -> 0.85; ce_disabled_keep_rate_1 -> 1."""
    rate = name.rpartition('keep_rate_')[2] if 'keep_rate_' in name else None
    return None if rate is None else float(rate.replace('p', '.'))


@pytest.mark.golden(FAMILY, needs=['config', 'state_dict', 'template_uint8'], each=cases)
@torch.no_grad()
def test_whole_network(golden, field, same, monkeypatch) -> None:
    config, expected = golden['config'], golden['outputs'][field]
    without = field.startswith('plain_vit')
    elimination = dict(blocks=config['ce_loc'], keep=config['ce_keep_ratio'], template=asked(field))
    model = build_ostrack(
        golden['state_dict'],
        num_heads=config['arch']['num_heads'],
        elimination=None if without else elimination,
        data_preprocessor=dict(
            type='downstream.CropPreprocessor', mean=config['norm_mean'], std=config['norm_std']
        ),
    ).eval()
    assert (model.template_size, model.search_size) == (
        config['template_size'], config['search_size'],
    )  # fmt: skip
    search, template = (model.normalise(golden[f'{name}_uint8']) for name in ('search', 'template'))
    in_box = ()
    if not without and asked(field) == 'box':
        mask = golden['template_masks']['GT_BOX']
        in_box = (mask[:1].expand_as(mask) if 'shared' in field else mask,)
    stayed = record_choices(model, share_of(field))
    features = []
    monkeypatch.setattr(model.backbone, 'encode', recorded(model.backbone.encode, features))
    tokens, *_ = model.embed_template(template, golden['template_boxes_norm_xywh'])
    maps = model.locate((tokens, *in_box), search)

    for name in HeadMaps._fields:
        same(name, getattr(maps, name), expected[f'{name}_map'], rtol=1e-5)
    same('pred_boxes', decode(maps)[0], expected['pred_boxes'][:, 0], atol=1e-6, rtol=1e-5)
    if 'backbone_feat' in expected:
        same('backbone_feat', features[0], expected['backbone_feat'], 1e-5, rtol=1e-5)
    if 'removed_indexes_s' in expected:
        removed = expected['removed_indexes_s']
        check_removed(removed, stayed, model.search_cells**2, len(search))


def recorded(function: Callable[..., Tensor], results: list[Tensor]) -> Callable[..., Tensor]:
    """The function, which also puts what it returns into the list."""

    def record(*arguments: Any) -> Tensor:
        results.append(function(*arguments))
        return results[-1]

    return record


def record_choices(model, share: float | None) -> list[Tensor]:
    """Places (B, K) of the candidates that stay, a tensor for each block where some leave."""
    stayed: list[Tensor] = []
    if model.elimination is None:
        return stayed
    make, template = model.elimination.chooser, model.template_cells**2

    def recording(cells, *in_box, **_):
        choose = make(cells, *in_box, share=share)

        def chosen(block, attention):
            kept = choose(block, attention)
            if kept is not None:
                stayed.append(kept[:, template:] - template)
            return kept

        return chosen

    model.elimination.chooser = recording
    return stayed


def check_removed(removed, stayed: list[Tensor], candidates: int, batch: int) -> None:
    """Exactly those leave, block by block: what stays is counted in places of the first grid."""
    removed = [each for each in removed if each is not None]
    assert len(removed) == len(stayed)
    left = torch.arange(candidates).expand(batch, -1)
    for gone, kept in zip(removed, stayed):
        now = left.gather(1, kept)
        for before, after, expected in zip(left, now, gone):
            assert set(before.tolist()) - set(after.tolist()) == set(expected.tolist())
        left = now


@pytest.mark.golden(FAMILY, needs=['template_masks', 'template_boxes_norm_xywh'])
def test_template_tokens_that_are_asked(golden) -> None:
    side, stride = golden['config']['template_size'], golden['config']['stride']
    cells, boxes = side // stride, golden['template_boxes_norm_xywh']
    for name, mask in golden['template_masks'].items():
        if name == 'GT_BOX':
            found = tokens_in_box(boxes, side, cells, published=True)
        else:
            found = torch.zeros_like(mask)
            found[:, Elimination(template=RANGES[name]).asked(cells)] = True
        assert torch.equal(found, mask), name
    if 'ce_template_mask' in golden:
        assert torch.equal(golden['ce_template_mask'], golden['template_masks']['CTR_POINT'])


@pytest.mark.golden(FAMILY, needs=['keep_rate_schedule'])
def test_schedule_of_training(golden) -> None:
    elimination = Elimination(keep=golden['config']['ce_keep_ratio'][0])
    for epoch, rate in golden['keep_rate_schedule'].items():
        assert elimination.share_at(int(epoch)) == pytest.approx(rate, rel=1e-12)
