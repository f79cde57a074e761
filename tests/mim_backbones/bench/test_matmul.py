import torch

from mim_backbones.bench.flops import Product
from mim_backbones.bench.matmul import BURST, MatmulRate


def test_a_mix_is_weighted_by_its_counts():
    fast, slow = Product(4, 4, 4), Product(2, 2, 2, left_rows=False)
    mix = MatmulRate({fast: 3, slow: 1}, torch.float32, 'cpu')
    taken = {fast: 1.0, slow: 10.0}
    mix._seconds = lambda left, right, out: taken[fast if len(out) == 4 else slow]
    assert mix.rate() == (3 * fast.flops + slow.flops) / (3 * 1.0 + 10.0)  # 400 / 13


def test_factors_lie_as_the_step_has_them():
    product = Product(4, 3, 2, left_rows=False, right_rows=True)
    left, right, out = MatmulRate({product: 1}, torch.bfloat16, 'cpu').factors[product]
    assert (left.shape, left.stride()) == ((4, 3), (1, 4))
    assert (right.shape, right.stride()) == ((3, 2), (2, 1))
    assert left.dtype == right.dtype == out.dtype == torch.bfloat16


def test_small_products_fill_a_burst():
    square = MatmulRate({Product(64, 64, 64): 1}, torch.float32, 'cpu')
    taken = square.repeats * Product(64, 64, 64).flops / square.rate()
    assert 0.05 * BURST < taken < 20 * BURST  # other programs come and go
