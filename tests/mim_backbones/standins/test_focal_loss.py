import math

import pytest
import torch

from mim_backbones.standins.focal_loss import sigmoid_focal_loss, sigmoid_focal_loss_backward

torch.set_num_threads(1)


def test_by_hand():
    logits = torch.zeros(2, 2)  # p = 1/2 everywhere; the second row is background
    loss = sigmoid_focal_loss(logits, torch.tensor([0, 2]), None, gamma=2, alpha=0.25)
    hit, miss = 0.25 * 0.25 * math.log(2), 0.75 * 0.25 * math.log(2)
    torch.testing.assert_close(loss, torch.tensor([[hit, miss], [miss, miss]]))


def test_weight_scales_the_row_of_its_class_and_spares_background():
    logits, target = torch.randn(3, 2), torch.tensor([1, 0, 2])
    weight = torch.tensor([3.0, 5.0])
    plain = sigmoid_focal_loss(logits, target, None, 2, 0.25)
    weighted = sigmoid_focal_loss(logits, target, weight, 2, 0.25)
    torch.testing.assert_close(weighted, plain * torch.tensor([[5.0], [3.0], [1.0]]))


@pytest.mark.parametrize('gamma', [0.0, 1.5, 2.0])
@pytest.mark.parametrize('weighted', [False, True])
def test_derivative(gamma, weighted):
    torch.manual_seed(0)
    logits = torch.randn(6, 4, dtype=torch.float64) * 3
    target = torch.tensor([0, 1, 2, 3, 4, 4])
    weight = torch.rand(4, dtype=torch.float64) if weighted else None
    step = 1e-6
    ahead, behind = (
        sigmoid_focal_loss(logits + move, target, weight, gamma, 0.3) for move in (step, -step)
    )
    slope = sigmoid_focal_loss_backward(logits, target, weight, gamma, 0.3)
    torch.testing.assert_close(slope, (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-8)


def test_equals_torchvision():
    from torchvision.ops import sigmoid_focal_loss as oracle

    torch.manual_seed(0)
    logits, target = torch.randn(50, 7), torch.randint(0, 8, (50,))
    one_hot = torch.nn.functional.one_hot(target, 8)[:, :7].float()
    expected = oracle(logits, one_hot, alpha=0.25, gamma=2)
    torch.testing.assert_close(sigmoid_focal_loss(logits, target, None, 2, 0.25), expected)


def test_saturated_logits_stay_finite():
    logits = torch.tensor([[-500.0, 500.0]])
    target = torch.tensor([0])
    # By hand: log sigmoid(-500) = -500, so alpha 500 and (1 - alpha) 500; slopes -alpha, 1 - alpha.
    loss = sigmoid_focal_loss(logits, target, None, 2, 0.25)
    slope = sigmoid_focal_loss_backward(logits, target, None, 2, 0.25)
    torch.testing.assert_close(loss, torch.tensor([[125.0, 375.0]]))
    torch.testing.assert_close(slope, torch.tensor([[-0.25, 0.75]]))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    logits, target = torch.linspace(-8, 8, 20).view(5, 4).to(dtype), torch.arange(5)
    loss = sigmoid_focal_loss(logits, target, None, 2, 0.25)
    torch.testing.assert_close(
        loss, sigmoid_focal_loss(logits.float(), target, None, 2, 0.25).to(dtype)
    )
