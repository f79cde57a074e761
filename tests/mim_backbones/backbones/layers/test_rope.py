import math

import pytest
import torch
from timm.layers import RotaryEmbeddingCat, RotaryEmbeddingDinoV3, apply_rot_embed_cat

from mim_backbones.backbones.layers.rope import ROPES, Rope, make_rope

CPU = torch.device('cpu')
GRIDS = [(4, 4), (3, 5), (16, 16), (1, 1)]


@pytest.mark.parametrize('grid', GRIDS, ids=str)
def test_eva02_equals_timm(grid: tuple[int, int]) -> None:
    theirs = RotaryEmbeddingCat(16, in_pixels=False, feat_shape=grid, ref_feat_shape=(16, 16))
    x = torch.randn(2, 3, grid[0] * grid[1], 16)
    found = make_rope('eva02', 16)([grid], CPU)(x)
    torch.testing.assert_close(found, apply_rot_embed_cat(x, theirs.get_embed()))


@pytest.mark.parametrize('grid', GRIDS, ids=str)
def test_dinov3_equals_timm(grid: tuple[int, int]) -> None:
    theirs = RotaryEmbeddingDinoV3(16, feat_shape=grid)
    x = torch.randn(2, 3, grid[0] * grid[1], 16)
    found = make_rope('dinov3', 16)([grid], CPU)(x)
    expected = apply_rot_embed_cat(x, theirs.get_embed(), half=True)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('offset', [0.0, 1.0])
def test_columns_first_and_an_offset_equal_timm(offset: float) -> None:
    """Perception Encoder's and RoPE-ViT's."""
    theirs = RotaryEmbeddingCat(
        16, in_pixels=False, feat_shape=(3, 5), ref_feat_shape=(8, 8), temperature=100.0,
        grid_offset=offset, grid_indexing='xy',
    )  # fmt: skip
    ours = Rope(16, 100.0, reference=(8, 8), offset=offset, column_first=True)
    x = torch.randn(1, 2, 15, 16)
    torch.testing.assert_close(ours([(3, 5)], CPU)(x), apply_rot_embed_cat(x, theirs.get_embed()))


def test_by_hand() -> None:
    """Two channels by the row, two by the column, one frequency: angles are the cells' numbers."""
    x = torch.tensor([1.0, 0.0, 1.0, 0.0]).expand(1, 1, 4, 4)
    found = Rope(4, 10000.0)([(2, 2)], CPU)(x)[0, 0]
    c, s = math.cos(1), math.sin(1)
    expected = [[1, 0, 1, 0], [1, 0, c, s], [c, s, 1, 0], [c, s, c, s]]
    torch.testing.assert_close(found, torch.tensor(expected))


@pytest.mark.parametrize('name', ROPES)
def test_only_differences_of_places_count(name: str) -> None:
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    rotation = make_rope(name, 8)([(4, 5)], CPU)
    scores = rotation(q.expand(1, 1, 20, 8)) @ rotation(k.expand(1, 1, 20, 8)).transpose(2, 3)
    grid = scores.view(4, 5, 4, 5)
    torch.testing.assert_close(grid[0, 0, 2, 3], grid[1, 1, 3, 4])
    assert not torch.isclose(grid[0, 0, 2, 3], grid[0, 0, 3, 2])


def test_first_tokens_stay_and_kept_ones_keep_their_place() -> None:
    rotation = make_rope('dinov3', 8)([(3, 4)], CPU)
    x, keep = torch.randn(2, 2, 14, 8), torch.tensor([[3, 1], [0, 11]])
    found = rotation(x)
    assert torch.equal(found[:, :, :2], x[:, :, :2])
    tokens = torch.stack(
        [image[:, places] for image, places in zip(x[:, :, 2:], keep, strict=True)]
    )
    expected = torch.stack(
        [image[:, places] for image, places in zip(found[:, :, 2:], keep, strict=True)]
    )
    torch.testing.assert_close(rotation.of(keep)(tokens), expected)


def test_periods_as_stored_in_bfloat16() -> None:
    exact, rounded = (Rope(64, 100.0, rounded=r).periods(CPU) for r in (False, True))
    assert torch.equal(rounded, exact.bfloat16().float())
    assert not torch.equal(rounded, exact)


def test_bfloat16_in_bfloat16_out() -> None:
    x = torch.randn(1, 1, 6, 8, dtype=torch.bfloat16)
    found = make_rope('eva02', 8)([(2, 3)], CPU)(x)
    assert found.dtype == torch.bfloat16
    exact = make_rope('eva02', 8)([(2, 3)], CPU)(x.float())
    torch.testing.assert_close(found, exact.bfloat16())
