import torch

from pretrain.losses import hidden_positions, masked_l1


def test_masked_l1_by_hand() -> None:
    pred = torch.tensor([[[[1.0, 5.0]], [[3.0, 5.0]]]])  # two channels, one row, two pixels
    hidden = torch.tensor([[[[True, False]]]])
    loss = masked_l1(pred, torch.zeros_like(pred), hidden)
    torch.testing.assert_close(loss, torch.tensor(2.0), atol=1e-4, rtol=0)  # (1 + 3) / 1 / 2


def test_empty_mask_is_zero() -> None:
    pred = torch.ones(1, 3, 2, 2)
    assert masked_l1(pred, -pred, torch.zeros(1, 1, 2, 2, dtype=torch.bool)) == 0


def test_patch_mask_to_pixels_by_hand() -> None:
    pixels = hidden_positions(torch.tensor([[[True, False]]]), 2, 1)
    assert pixels.tolist() == [[[[True, True, False, False]] * 2]]
