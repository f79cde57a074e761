"""Against attention written out in full: every window, every head, every pair."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.backbones.layers.window_attention import CosineWindowAttention, WindowAttention
from mim_backbones.backbones.layers.windows import WindowPlan, shift_mask

SIZE, HEADS, DIM = 3, 2, 8


def written_out(attention: WindowAttention, x: Tensor, mask: Tensor | None) -> Tensor:
    out = torch.zeros_like(x)
    cosine = isinstance(attention, CosineWindowAttention)
    bias = attention.bias(SIZE)
    columns = x.shape[2] // SIZE
    for row in range(0, x.shape[1], SIZE):
        for column in range(0, x.shape[2], SIZE):
            window = x[:, row : row + SIZE, column : column + SIZE].flatten(1, 2)
            q, k, v = attention._qkv(window).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
            if cosine:
                score = F.cosine_similarity(q[..., :, None, :], k[..., None, :, :], dim=-1)
                score = score * attention.logit_scale.clamp(max=4.6052).exp()
            else:
                score = q @ k.transpose(-2, -1) / (DIM // HEADS) ** 0.5
            score = score + bias
            if mask is not None:
                score = score + mask[row // SIZE * columns + column // SIZE]
            value = (score.softmax(-1) @ v).transpose(1, 2).flatten(2)
            value = attention.proj(value).unflatten(1, (SIZE, SIZE))
            out[:, row : row + SIZE, column : column + SIZE] = value
    return out


@pytest.mark.parametrize('kind', [WindowAttention, CosineWindowAttention])
@pytest.mark.parametrize('shift', [0, 1])
def test_equals_attention_written_out(kind: type[WindowAttention], shift: int) -> None:
    attention = kind(DIM, HEADS, SIZE, qkv_bias='qv')
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_()
    x = torch.randn(2, 6, 9, DIM)
    mask = shift_mask((6, 9), WindowPlan(SIZE, shift), x.device) if shift else None
    torch.testing.assert_close(attention(x, SIZE, mask), written_out(attention, x, mask))


def test_bias_depends_on_the_offset_only() -> None:
    attention = WindowAttention(DIM, HEADS, SIZE, qkv_bias='joint')
    table = torch.arange(25 * HEADS).float().view(25, HEADS)
    attention.relative_position_bias_table.data.copy_(table)
    bias = attention.bias(SIZE)
    # Query (2, 0), key (0, 1): offset (2, -1), row (2 + 2) * 5 + (-1 + 2) = 21 of the table.
    assert bias[0, 6, 1] == table[21, 0]
    assert bias[1, 0, 0] == table[12, 1]


def test_continuous_bias_knows_offsets_in_units_of_the_pre_training_window() -> None:
    # By hand, at 8 = the border of the pre-training window: log2(8 + 1) / 3 = 1.0566.
    attention = CosineWindowAttention(DIM, HEADS, window_size=5, qkv_bias='qv')
    seen: list[Tensor] = []
    attention.cpb_mlp.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    attention.bias(5)
    assert seen[0].shape == (81, 2)
    assert seen[0][-1].tolist() == pytest.approx([1.056642, 1.056642])
    assert seen[0][0].tolist() == pytest.approx([-1.056642, -1.056642])
    attention.bias(9)  # twice the reach: log2(16 + 1) / 3
    assert seen[1][-1].tolist() == pytest.approx([1.362488, 1.362488])


def test_one_token_windows_are_finite() -> None:
    attention = CosineWindowAttention(DIM, HEADS, window_size=1, qkv_bias='none')
    assert attention(torch.randn(1, 2, 2, DIM), 1, None).isfinite().all()
