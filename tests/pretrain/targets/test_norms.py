import pytest
import torch

from pretrain.targets.norms import NORMS, instance, l2, layer


def test_layer_by_hand() -> None:
    x = torch.tensor([[1.0, 3.0, 5.0]])[..., None]  # one position of three channels
    biased = (8 / 3) ** 0.5
    torch.testing.assert_close(layer(x)[0, :, 0], torch.tensor([-2.0, 0.0, 2.0]) / biased)
    torch.testing.assert_close(layer(x, unbiased=True)[0, :, 0], torch.tensor([-1.0, 0.0, 1.0]))


def test_the_epsilon_counts_where_features_are_flat() -> None:
    """1e-5 of PyTorch's LayerNorm and 1e-6 of dBOT are not the same norm."""
    x = torch.tensor([1e-3, -1e-3]).view(1, 2, 1)  # variance 1e-6
    assert layer(x, eps=1e-6)[0, 0, 0] == pytest.approx(2**-0.5)
    assert layer(x, eps=1e-5)[0, 0, 0] == pytest.approx(11**-0.5)
    maps = torch.randn(2, 6, 3, 4)
    pytorch = torch.nn.LayerNorm(6, elementwise_affine=False)(maps.movedim(1, -1)).movedim(-1, 1)
    torch.testing.assert_close(layer(maps, eps=1e-5), pytorch)


def test_unbiased_is_sqrt_of_c_over_c_minus_1_smaller() -> None:
    x = torch.randn(2, 7, 5)
    ratio = layer(x, eps=0.0) / layer(x, unbiased=True, eps=0.0)
    torch.testing.assert_close(ratio, torch.full_like(x, (7 / 6) ** 0.5))


def test_instance_takes_away_what_positions_share() -> None:
    x = torch.rand(2, 3, 4, 5)
    found = instance(x)
    torch.testing.assert_close(found, torch.nn.InstanceNorm2d(3)(x))
    scale = torch.tensor([2.0, 3.0, 5.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(instance(x * scale + scale, eps=0.0), instance(x, eps=0.0))


def test_l2_is_a_direction() -> None:
    found = l2(torch.tensor([[3.0, 4.0]])[..., None])
    torch.testing.assert_close(found[0, :, 0], torch.tensor([0.6, 0.8]))


@pytest.mark.parametrize('name', NORMS)
def test_each_keeps_images_apart_and_shapes(name: str) -> None:
    x = torch.randn(3, 8, 2, 5)
    found = NORMS[name](x)
    assert found.shape == x.shape
    torch.testing.assert_close(NORMS[name](x.flip(0)).flip(0), found)
    torch.testing.assert_close(NORMS[name](x.flip(3)).flip(3), found)
