"""BEiT and BEiT v2 as models: losses, the frozen tokenizer, the start, refusals."""

import math

import pytest
import torch
from torch import Tensor

from mim_backbones import from_checkpoint
from mim_backbones.errors import UserError
from pretrain.methods.beit import BEiT
from pretrain.methods.beitv2 import BEiTv2
from tests.pretrain.small import absent_ids

GRID, CODES = 4, 16
BACKBONE = dict(
    type='mim_backbones.MIMViT', arch=dict(embed_dim=32, depth=4, num_heads=2), img_size=32,
    patch_size=8, pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', layer_scale=0.1,
    mask_token=True)  # fmt: skip


def model(cls: type = BEiTv2, gain: float = 1.0, **options) -> BEiT:
    given = dict(early_layers=2) if cls is BEiTv2 else {}
    tokenizer = dict(type='BrightnessTokenizer', gain=gain)
    target = dict(type='TokenTarget', tokenizer=tokenizer)
    return cls(**{**dict(backbone=BACKBONE, target=target), **given, **options})


def batch(count: int = 3) -> dict[str, Tensor]:
    mask = torch.rand(count, GRID, GRID) < 0.4
    mask[:, 0, 0] = True
    return dict(image=torch.rand(count, 3, 32, 32), mask=mask,
                target_image=torch.rand(count, 3, 16, 16))  # fmt: skip


def test_losses_are_means_over_the_hidden_patches_of_the_batch() -> None:
    method, data = model().eval(), batch()
    found = method(**data, mode='loss')
    assert set(found) == {'loss_mim', 'loss_cls', 'accuracy_mim', 'accuracy_cls'}
    ids = method.target(data['target_image']).values
    tokens = method.patch_tokens(data['image'], data['mask'])
    for branch in ('mim', 'cls'):
        log_p = method.lm_head(tokens[branch]).log_softmax(-1)
        picked = log_p.gather(2, ids.flatten(1)[..., None])[..., 0]
        hidden = data['mask'].flatten(1)
        by_hand = -(picked * hidden).sum() / hidden.sum()
        torch.testing.assert_close(found[f'loss_{branch}'], by_hand, atol=1e-6, rtol=1e-6)
        right = ((log_p.argmax(-1) == ids.flatten(1)) & hidden).sum() / hidden.sum()
        torch.testing.assert_close(found[f'accuracy_{branch}'], right)


def test_beit_has_one_loss_and_ids_may_be_known() -> None:
    method, data = model(BEiT).eval(), batch()
    ids = method.target(data['target_image']).values
    known = dict(image=data['image'], mask=data['mask'], target_ids=ids)
    assert set(method(**known, mode='loss')) == {'loss', 'accuracy_mim'}
    assert method(**known, mode='loss')['loss'] == method(**data, mode='loss')['loss']
    assert method(**data)['mim'].shape == (int(data['mask'].sum()), CODES)


def test_half_precision_changes_neither_labels_nor_much_else() -> None:
    method, data = model().eval(), batch()
    full = method(**data, mode='loss')
    with torch.autocast('cpu', torch.bfloat16):
        half = method(**data, mode='loss')
    for name in ('loss_mim', 'loss_cls'):
        assert half[name].dtype == torch.float32
        torch.testing.assert_close(half[name], full[name], atol=2e-2, rtol=0)


@pytest.mark.parametrize('shared', [True, False])
def test_every_parameter_learns(shared: bool) -> None:
    method = model(shared_lm_head=shared)
    losses = method(**batch(), mode='loss')
    (losses['loss_mim'] + losses['loss_cls']).backward()
    assert {n for n, p in method.named_parameters() if p.grad is None} == set()
    own = {n for n, _ in method.named_parameters() if n.startswith('cls_pt_lm_head')}
    assert bool(own) != shared


def test_the_tokenizer_is_neither_trained_nor_saved_nor_random() -> None:
    method, data = model().train(), batch()
    names = {*method.state_dict(), *dict(method.named_parameters()), *dict(method.named_modules())}
    assert {name for name in names if 'gain' in name or 'target.' in name} == {'target.fingerprint'}
    first = method.target(data['target_image']).values
    with torch.autocast('cpu', torch.bfloat16):
        again = method.target(data['target_image']).values
    assert torch.equal(first, again)
    assert not method.target.frozen.net.training
    assert not method.target.frozen.net.gain.requires_grad


def test_another_tokenizer_is_refused_on_loading() -> None:
    saved = model().state_dict()
    model().load_state_dict(saved)
    model(target=absent_ids(CODES)).load_state_dict(saved)
    with pytest.raises(UserError, match='the ids of another net than'):
        model(gain=2.0).load_state_dict(saved)


def test_start() -> None:
    torch.manual_seed(0)
    method = model(cls_start='beit')
    method.requires_grad_(False)
    weights = {n: p for n, p in method.named_parameters() if p.ndim > 1 and 'table' not in n}
    assert max(p.abs().max() for p in weights.values()) <= 0.02
    # A normal of deviation s cut at +-s has deviation 0.5396 s (by the formula of the truncated
    # normal: 1 - 2 phi(1) / (2 Phi(1) - 1) = 0.2912, the square of that).
    phi = math.exp(-0.5) / math.sqrt(2 * math.pi)
    cut = 0.02 * math.sqrt(1 - 2 * phi / math.erf(1 / math.sqrt(2)))
    assert method.backbone.blocks[0].attn.qkv.weight.std() == pytest.approx(cut, rel=0.03)
    layers = [*method.backbone.blocks, *method.cls_pt_layers]
    for number, block in [*enumerate(layers[:4], 1), *enumerate(layers[4:], 3)]:
        expected = cut / math.sqrt(2 * number)
        assert block.mlp.fc2.weight.std() == pytest.approx(expected, rel=0.05)
    assert method.cls_pt_layers[0].mlp.fc1.bias.abs().max() == 0


def test_by_default_the_cls_blocks_start_as_published() -> None:
    block = model().cls_pt_layers[0].requires_grad_(False)
    # torch.nn.Linear: uniform in +-1 / sqrt(fan in); block 3 of the whole stack.
    assert block.mlp.fc1.weight.abs().max() == pytest.approx(32**-0.5, rel=0.02)
    assert block.mlp.fc1.bias.abs().max() > 0.1
    assert block.mlp.fc2.weight.abs().max() == pytest.approx(128**-0.5 / 6**0.5, rel=0.02)


def test_drop_path_goes_on_rising_in_the_cls_blocks() -> None:
    # linspace(0, 0.5, max(4, 4 + 2)) at positions 4 and 5.
    method = model(backbone={**BACKBONE, 'drop_path_rate': 0.5}, early_layers=4)
    assert [b.drop_path.drop_prob for b in method.cls_pt_layers] == pytest.approx([0.4, 0.5])
    method = model(backbone={**BACKBONE, 'drop_path_rate': 0.3}, early_layers=1)
    assert [b.drop_path.drop_prob for b in method.cls_pt_layers] == pytest.approx([0.1, 0.2])


def test_a_few_steps_lower_both_losses() -> None:
    method, data = model(), batch(8)
    optimizer = torch.optim.AdamW(method.parameters(), 3e-3)
    curve = []
    for _ in range(30):
        losses = method(**data, mode='loss')
        total = losses['loss_mim'] + losses['loss_cls']
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        curve.append((losses['loss_mim'].item(), losses['loss_cls'].item()))
    assert all(last < 0.8 * first for first, last in zip(curve[0], curve[-1], strict=True))


def test_backbone_of_a_checkpoint_loads_by_itself(tmp_path) -> None:
    method = model()
    path = tmp_path / 'epoch_1.pth'
    record = {'method': 'BEiTv2', 'backbone': BACKBONE}
    torch.save({'state_dict': method.state_dict(), 'meta': {'mimbench': record}}, path)
    own_tables, report = from_checkpoint(path, rel_pos_bias='per_block', img_size=48)
    assert report.missing == report.unexpected == []
    tables = {b.rel_pos_bias.relative_position_bias_table.shape for b in own_tables.blocks}
    assert tables == {(11 * 11 + 3, 2)}
    same_grid, _ = from_checkpoint(path, rel_pos_bias='per_block')
    image = torch.rand(1, 3, 32, 32)
    ours = method.eval().patch_tokens(image)['mim'].transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(
        same_grid.eval().forward_tokens(method.normalise(image)), ours, atol=1e-6, rtol=0
    )


def tokens_at(size: int) -> dict:
    return dict(type='TokenTarget', tokenizer=dict(type='BrightnessTokenizer'), input_size=size)


@pytest.mark.parametrize(('options', 'message'), [
    (dict(target=tokens_at(20)), 'BrightnessTokenizer at 20 px gives a 5x5 grid, MIMViT has 4x4'),
    (dict(target=dict(type='PixelTarget')), 'PixelTarget gives pixels on a 32x32 grid; BEiTv2'),
    (dict(target=dict(tokens_at(16), stride=16)), 'gives a 4x4 grid, MIMViT has 2x2 tokens'),
    (dict(target=dict(type='ColourBins', reduce=8, bins=2), early_layers=5), r'5 is not in 1\.\.4'),
    (dict(cls_start='zeros'), "cls_start='zeros'; known: published, beit"),
    (dict(backbone={**BACKBONE, 'cls_token': False}), 'cls_token=True'),
    (dict(target=dict(tokens_at(16), precision='fp8')), "precision 'fp8'; known: fp32, bf16, same"),
])  # fmt: skip
def test_what_cannot_be_is_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        model(**options)


def test_the_tokenizer_sees_what_gives_the_student_s_grid() -> None:
    for side in (32, 48):
        method = model(backbone={**BACKBONE, 'img_size': side})
        assert method.target.view == (side // 2, 'bicubic')  # cells of 4 px for patches of 8
        assert method.target.grid == (side // 8, side // 8)
    resized = method.target(torch.rand(1, 3, 48, 48)).values  # of whoever brings no second view
    assert resized.shape == (1, 6, 6)
