import torch
from torch.nn.functional import scaled_dot_product_attention

from mim_backbones.bench.flops import Product, count_flops


def test_a_linear_layer_by_hand():
    layer = torch.nn.Linear(6, 5)
    x = torch.randn(4, 6, requires_grad=True)
    work = count_flops(lambda: layer(x).sum().backward())
    # Output, gradient of the input, gradient of the weight: 4 x 6 x 5 multiplications each.
    assert work.flops == 3 * 2 * 4 * 6 * 5
    assert work.products == {
        Product(4, 6, 5, right_rows=False): 1,
        Product(4, 5, 6, left_rows=False): 1,  # sum's gradient is one number, expanded
        Product(5, 4, 6, left_rows=False): 1,
    }


def test_the_fused_attention_of_the_cpu_counts_like_its_two_products():
    q, k, v = (torch.randn(2, 3, 16, 8, requires_grad=True) for _ in range(3))
    product = 2 * 2 * 3 * 16 * 16 * 8

    def fused():
        scaled_dot_product_attention(q, k, v).sum().backward()

    def plain():
        ((q @ k.transpose(-2, -1)).softmax(-1) @ v).sum().backward()

    assert count_flops(fused).flops == count_flops(plain).flops == 3 * 2 * product
