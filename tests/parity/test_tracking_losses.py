"""OSTrack's heat maps and losses."""

from typing import Any

import pytest
import torch

from downstream.tracking.box import cxcywh_to_xyxy, iou_and_giou, xywh_to_xyxy
from downstream.tracking.losses import (
    focal_loss,
    gaussian_heatmap,
    gaussian_radius,
    tracking_losses,
)

FAMILY = 'tracking_losses'
PARTS = {'focal': 'focal_loss', 'giou': 'giou_loss', 'l1': 'l1_loss'}


def heatmaps(content: dict[str, Any]) -> list[str]:
    return [key for key in content if key.startswith('heatmap_')]


@pytest.mark.golden(FAMILY, needs=['gt_xywh_norm'], each=heatmaps)
def test_heatmaps(golden, field, same) -> None:
    found = gaussian_heatmap(golden['gt_xywh_norm'], int(field.removeprefix('heatmap_')))
    same(field, found, golden[field], atol=1e-7, rtol=1e-6)


@pytest.mark.golden(FAMILY, needs=['radius_wh'], each=['radius_float', 'radius_int'])
def test_radius(golden, field, same) -> None:
    radius = gaussian_radius(golden['radius_wh'])
    if field == 'radius_int':
        assert torch.equal(radius.floor().int(), golden['radius_int'])
    else:
        same(field, radius, golden[field], atol=1e-6, rtol=1e-5)


@pytest.fixture
def losses(golden):
    """score map, predicted box, the losses and their weights."""
    score = golden['score_map'].clone().requires_grad_()
    predicted = golden['pred_cxcywh_norm'].clone().requires_grad_()
    weights = golden['loss_weights']
    found = tracking_losses(
        score, predicted[:, 0], golden['gt_xywh_norm'],
        **{f'{part}_weight': weights[part] for part in PARTS},
    )  # fmt: skip
    return score, predicted, found, weights


@pytest.mark.golden(FAMILY, each=[*PARTS.values(), 'total', 'mean_iou'])
def test_losses(golden, field, same, losses) -> None:
    _, _, found, weights = losses
    parts = {name: found[f'loss_{part}'] / weights[part] for part, name in PARTS.items()}
    total = sum(found[f'loss_{part}'] for part in PARTS)
    value = {**parts, 'total': total, 'mean_iou': found['iou']}[field]
    same(field, value.double(), golden[field].double(), atol=1e-7, rtol=1e-5)


@pytest.mark.golden(
    FAMILY, needs=['pred_cxcywh_norm', 'gt_xywh_norm'], each=['iou_per_box', 'giou_per_box']
)
def test_each_box(golden, field, same) -> None:
    predicted = cxcywh_to_xyxy(golden['pred_cxcywh_norm'][:, 0])
    iou, giou = iou_and_giou(predicted, xywh_to_xyxy(golden['gt_xywh_norm']).clamp(0, 1))
    same(field, iou if field == 'iou_per_box' else giou, golden[field], atol=1e-6, rtol=1e-5)


@pytest.mark.golden(FAMILY, each=['grad_score_map', 'grad_pred'])
def test_gradients(golden, field, same, losses) -> None:
    score, predicted, found, _ = losses
    sum(found[f'loss_{part}'] for part in PARTS).backward()
    gradient = (score if field == 'grad_score_map' else predicted).grad
    same(field, gradient, golden[field], atol=1e-6, rtol=1e-4)


@pytest.mark.golden(FAMILY, needs=['per_sample_focal', 'per_sample_num_pos', 'score_map'])
def test_focal_loss_of_each_sample(golden, same) -> None:
    scores = golden['score_map']
    heat = gaussian_heatmap(golden['gt_xywh_norm'], scores.shape[-1])
    for i, expected in enumerate(golden['per_sample_focal']):
        same(f'focal[{i}]', focal_loss(scores[i], heat[i : i + 1]), expected, 0, rtol=1e-5)
        assert int((heat[i] == 1).sum()) == golden['per_sample_num_pos'][i]


@pytest.mark.golden(FAMILY, needs=['no_positive'])
def test_no_positive_cell(golden, same) -> None:
    case = golden['no_positive']
    heat = gaussian_heatmap(case['gt'], case['heatmap'].shape[-1])
    same('heatmap', heat, case['heatmap'], atol=1e-7, rtol=1e-6)
    same('focal', focal_loss(case['score_map'][:, 0], heat), case['focal'], 0, rtol=1e-5)
