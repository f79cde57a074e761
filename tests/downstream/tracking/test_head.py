import pytest
import torch

from downstream.tracking.head import FLOOR, CenterHead, HeadMaps, decode, hann_window


def test_decode_by_hand():
    score = torch.zeros(1, 1, 4, 4)
    score[0, 0, 1, 2] = score[0, 0, 3, 0] = 0.9  # the first of equals: row 1, column 2
    size, offset = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    size[0, :, 1, 2] = torch.tensor([0.5, 0.25])
    offset[0, :, 1, 2] = torch.tensor([0.4, -0.2])
    box, best = decode(HeadMaps(score, size, offset))
    assert box[0].tolist() == pytest.approx([2.4 / 4, 0.8 / 4, 0.5, 0.25])
    assert best.item() == pytest.approx(0.9)
    # a weight that hides the first cell leaves the second
    weight = torch.ones(4, 4)
    weight[1] = 0
    assert decode(HeadMaps(score, size, offset), weight)[0][0].tolist() == [0, 0.75, 0, 0]


def test_window_by_hand():
    # n = 3: 0.5 (1 - cos(k pi / 2)), k = 1, 2, 3
    line = torch.tensor([0.5, 1, 0.5])
    torch.testing.assert_close(hann_window(3), line[:, None] * line)


def test_maps_shapes_ranges_and_priors():
    torch.manual_seed(0)
    head = CenterHead(16, channels=16, score_prior=0.01, size_prior=0.25)
    with torch.no_grad():
        for parameter in (*head.score[-1].parameters(), *head.size[-1].parameters()):
            parameter.mul_(0 if parameter.dim() > 1 else 1)
    maps = head(torch.randn(2, 16, 5, 5))
    assert [tuple(m.shape) for m in maps] == [(2, 1, 5, 5), (2, 2, 5, 5), (2, 2, 5, 5)]
    torch.testing.assert_close(maps.score, torch.full((2, 1, 5, 5), 0.01))
    torch.testing.assert_close(maps.size, torch.full((2, 2, 5, 5), 0.25))
    assert all(m.dtype == torch.float32 for m in maps)


def test_probabilities_stay_off_0_and_1_in_bf16():
    torch.manual_seed(0)
    head = CenterHead(8, channels=8)
    with torch.autocast('cpu', torch.bfloat16):
        maps = head(1e4 * torch.randn(4, 8, 4, 4))
    assert maps.score.min() >= FLOOR
    assert maps.score.max() <= 1 - FLOOR
    assert (1 - maps.score).log().isfinite().all()


def test_channels_must_divide():
    with pytest.raises(ValueError, match='channels=12'):
        CenterHead(8, channels=12)


@pytest.mark.parametrize('cell', [(0, 0), (1, 5), (6, 2), (11, 11)])
def test_the_best_cell_alone_says_what_the_whole_maps_say(cell):
    """In the corner most of the 9 x 9 cells that a cell sees are padding, anew in every layer."""
    torch.manual_seed(0)
    head = CenterHead(16, channels=16).eval()
    for module in head.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as trained: padding is no longer what it was
            torch.nn.init.uniform_(module.running_mean)
            torch.nn.init.normal_(module.bias)
    feature, weight = torch.randn(2, 16, 12, 12), torch.full((12, 12), 1e-6)
    weight[cell] = 1  # row, column
    with torch.no_grad():
        for found, expected in zip(head.best(feature, weight), decode(head(feature), weight)):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
