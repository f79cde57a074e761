import torch

from mim_backbones.backbones.layers.windows import (
    FORBIDDEN,
    WindowPlan,
    padded_grid,
    plan_windows,
    shift_mask,
)


def test_windows_shrink_on_small_maps_or_keep_their_size() -> None:
    assert plan_windows((12, 16), 7, 'shrink') == WindowPlan(7, 3)
    assert plan_windows((7, 14), 7, 'shrink') == WindowPlan(7, 0)  # one row of windows: no shift
    assert plan_windows((3, 6), 7, 'shrink') == WindowPlan(3, 0)
    assert plan_windows((3, 6), 7, 'pad') == WindowPlan(7, 3)


def test_padding_reaches_the_next_multiple() -> None:
    assert padded_grid((25, 33), 3) == (27, 33)


def test_mask_separates_what_the_roll_brought_together() -> None:
    # 4 x 4 tokens, windows of 2, rolled by 1. By hand: the first window holds tokens (1..2, 1..2)
    # that belong together; the last holds all four corners of the map, each alone.
    mask = shift_mask((4, 4), WindowPlan(2, 1), torch.device('cpu'))
    assert mask.shape == (4, 4, 4)
    assert not mask[0].any()
    assert torch.equal(mask[3] == 0, torch.eye(4, dtype=torch.bool))
    # Second window: columns 3 and 0 meet; rows stay together.
    together = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]]).bool()
    assert torch.equal(mask[1] == 0, together)
    assert set(mask.unique().tolist()) == {0.0, FORBIDDEN}
