import torch

from mim_backbones.backbones.layers.patches import PatchMerging


def test_four_neighbours_join_rows_first() -> None:
    merging = PatchMerging(1, norm_first=True, norm_eps=1e-5)
    merging.norm = torch.nn.Identity()
    merging.reduction.weight.data = torch.eye(4)  # shows the joined channels
    x = torch.arange(8.0).view(1, 2, 4, 1)  # rows 0 1 2 3 / 4 5 6 7
    assert merging(x)[0, 0].tolist() == [[0, 4, 1, 5], [2, 6, 3, 7]]


def test_odd_maps_are_padded_at_right_and_bottom() -> None:
    merging = PatchMerging(2, norm_first=False, norm_eps=1e-5)
    x = torch.randn(1, 3, 5, 2)
    padded = torch.zeros(1, 4, 6, 2)
    padded[:, :3, :5] = x
    assert merging(x).shape == (1, 2, 3, 4)
    assert torch.equal(merging(x), merging(padded))
