import torch

from mim_backbones.bench.matmul import BURST, SQUARES, fastest_product


def test_the_fastest_is_no_slower_than_the_squares():
    product = fastest_product([(2, 2, 2)], torch.float32, 'cpu')
    assert product.size in SQUARES
    m, k, n = product.size
    taken = 2 * m * k * n * product.repeats / product.rate()
    assert 0.1 * BURST < taken < 20 * BURST  # other programs come and go
