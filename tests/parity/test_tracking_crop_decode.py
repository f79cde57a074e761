"""OSTrack's crops, labels, windows and decoded boxes."""

from typing import Any

import numpy as np
import pytest
import torch

from downstream.tracking.crop import CropWindow, clip_box, cut, padding_mask, window_around
from downstream.tracking.head import HeadMaps, decode, hann_window
from mim_backbones.errors import UserError

FAMILY = 'tracking_crop_decode'


@pytest.mark.golden(FAMILY, needs=['image', 'crops'])
def test_crops(golden) -> None:
    image = golden['image'].numpy()
    for case in golden['crops']:
        window, size = window_around(case['box'].numpy(), case['factor']), case['output_size']
        assert size / window.side == case['resize_factor']
        assert np.array_equal(cut(image, window, size, published=True), case['crop'].numpy())
        mask = padding_mask(window, image.shape[:2], size, published=True)
        assert np.array_equal(mask, case['att_mask'].numpy())


@pytest.mark.golden(FAMILY, needs=['image', 'no_resize'])
def test_a_crop_that_is_not_resized(golden) -> None:
    case = golden['no_resize']
    window = window_around(case['box'].numpy(), case.get('factor', 2))
    found = cut(golden['image'].numpy(), window, window.side, published=True)
    assert np.array_equal(found, case['crop'].numpy())
    mask = padding_mask(window, golden['image'].shape[:2], window.side, published=True)
    assert np.array_equal(mask, case['second'].numpy())
    assert window.side == found.shape[0] * case['third']


@pytest.mark.golden(FAMILY, needs=['image_to_crop'])
def test_labels(golden) -> None:
    for case in golden['image_to_crop']:
        size, side = case['crop_size'], round(case['crop_size'] / case['resize_factor'])
        x, y, w, h = case['box_extract'].tolist()
        window = CropWindow(0, 0, side, (x + w / 2, y + h / 2))
        box = window.to_crop(case['box_in'].numpy(), size, published=True)
        expected = case['box_out'].numpy() / (1 if case['normalize'] else size)
        np.testing.assert_allclose(box, expected, rtol=1e-5)


@pytest.mark.golden(FAMILY, needs=['map_back'])
def test_boxes_mapped_back(golden) -> None:
    for case in golden['map_back']:
        x, y, w, h = case['state'].tolist()
        side = case['search_size'] / case['resize_factor']
        window = CropWindow(0, 0, side, (x + w / 2, y + h / 2))
        cx, cy, w, h = case['pred_cxcywh_norm'].tolist()
        box = window.to_image(np.array([cx - w / 2, cy - h / 2, w, h]), published=True)
        np.testing.assert_allclose(box, case['mapped'].numpy(), rtol=1e-6)
        clipped = clip_box(box, case['H'], case['W'])
        np.testing.assert_allclose(clipped, case['clipped_margin10'].numpy(), rtol=1e-6)


@pytest.mark.golden(FAMILY, needs=['image', 'clip'])
def test_clipped_boxes(golden) -> None:
    height, width = golden['image'].shape[:2]
    for case in golden['clip']:
        box = case['box'].numpy()
        assert np.array_equal(clip_box(box, height, width), case['out'].numpy())
        assert np.array_equal(clip_box(box, height, width, 0), case['out_margin0'].numpy())


def windows(content: dict[str, Any]) -> list[str]:
    return [*content.get('hann', {})]


@pytest.mark.golden(FAMILY, each=windows)
def test_windows(golden, field, same) -> None:
    kind, size = field.split('_')
    window = hann_window(int(size))
    ours = window if kind == 'hann2d' else window.diag() ** 0.5
    same(field, ours, golden['hann'][field].reshape(ours.shape), atol=1e-7, rtol=1e-5)


@pytest.mark.golden(
    FAMILY, needs=['decode.size_map'], each=['decode.boxes', 'decode.boxes_with_hann']
)
def test_decoded_boxes(golden, field, same) -> None:
    expected, suffix = golden['decode'], field.removeprefix('decode.boxes')
    maps = HeadMaps(expected['score_map'], expected['size_map'], expected['offset_map'])
    boxes, best = decode(maps, hann_window(maps.score.shape[-1]) if suffix else None)
    same(field, boxes, expected[f'boxes{suffix}'], atol=1e-6, rtol=1e-5)
    same(f'max_score{suffix}', best, expected[f'max_score{suffix}'].flatten(), 0, rtol=1e-5)


@pytest.mark.golden(FAMILY, each=['decode.get_pred_size', 'decode.get_pred_offset'])
def test_what_is_read_at_the_best_cell(golden, field, same) -> None:
    """Published in cells, without its place; ours is in the box."""
    maps = HeadMaps(*(golden['decode'][f'{name}_map'] for name in HeadMaps._fields))
    boxes, _ = decode(maps)
    cells = maps.score.shape[-1]
    index = maps.score.flatten(1).argmax(1)
    place = torch.stack([index % cells, index // cells], dim=1)
    size = field == 'decode.get_pred_size'
    found = cells * boxes[:, 2:] if size else cells * boxes[:, :2] - place
    expected = golden['decode'][field.removeprefix('decode.')].reshape(found.shape)
    same(field, found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.golden(FAMILY, needs=['image', 'error_cases.tiny_box'])
def test_a_box_without_a_pixel(golden) -> None:
    assert golden['error_cases']['tiny_box'].startswith('raises')
    with pytest.raises(UserError, match='no area'):
        window_around(np.array([10.0, 10, 0, 0]), 2)


@pytest.mark.golden(FAMILY, needs=['image', 'error_cases.fully_outside'])
def test_a_crop_wholly_outside_is_black(golden) -> None:
    assert 'mean=0.000' in golden['error_cases']['fully_outside']
    window = window_around(np.array([1000.0, 1000, 20, 20]), 2)
    assert not cut(golden['image'].numpy(), window, 64, published=True).any()
