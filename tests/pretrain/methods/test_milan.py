"""MILAN: what the teacher looks at stays visible, and encoded tokens stay as they are."""

import pytest
import torch
from torch.nn.functional import layer_norm, linear

from mim_backbones import from_checkpoint
from pretrain.decoders.prompting import PromptingDecoder
from pretrain.maskers.by_importance import importance_mask
from pretrain.registry import MODELS, build
from tests.pretrain.small import FEATURES, HIERA_TEACHER, METHODS, SWIN_TEACHER, method

LOOKED = {**FEATURES, 'importance': True}


@pytest.mark.parametrize(('grid', 'ratio', 'hidden'), [((4, 4), 0.75, 12), ((3, 5), 0.7, 11)])
def test_masks_hide_as_many_in_each_image(grid, ratio, hidden) -> None:
    mask = importance_mask(torch.rand(7, *grid), ratio)
    assert mask.dtype == torch.bool and mask.shape == (7, *grid)
    assert mask.flatten(1).sum(1).tolist() == [hidden] * 7


def test_a_place_is_visible_in_proportion_to_its_importance() -> None:
    importance = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    torch.manual_seed(0)
    seen = ~importance_mask(importance.expand(40000, 2, 2), 0.75)  # one of four
    torch.testing.assert_close(seen.float().mean(0), importance, atol=0.01, rtol=0)
    # Of two, the second in proportion among the three that are left.
    pairs = ~importance_mask(importance.expand(40000, 2, 2), 0.5)
    both = (pairs.flatten(1)[:, 2] & pairs.flatten(1)[:, 3]).float().mean()
    assert both == pytest.approx(0.3 * 0.4 / 0.7 + 0.4 * 0.3 / 0.6, abs=0.01)


def test_no_importance_at_all_is_any_place() -> None:
    assert importance_mask(torch.zeros(1, 4, 4), 0.75).sum() == 12


def test_importance_is_what_cls_attends_to_in_the_last_block() -> None:
    torch.manual_seed(0)
    model = method('MILAN')
    net = model.target.frozen.net.net
    image = torch.rand(2, 3, 32, 32)
    found = model.target(image)
    seen = model.target.frozen.net.prepare(image)
    (x,) = net.block_tokens(seen, [net.depth - 2]) if net.depth > 1 else net.block_inputs(seen, [0])
    block = net.blocks[-1]
    normed = layer_norm(x, x.shape[-1:], block.norm1.weight, block.norm1.bias, 1e-6)
    q, k, _ = linear(normed, block.attn.qkv.weight, block.attn.qkv.bias).chunk(3, dim=2)
    heads = [
        (a[:, :1] @ b.transpose(1, 2) / 16**0.5).softmax(-1)[:, 0, 1:]
        for a, b in zip(q.split(16, dim=2), k.split(16, dim=2), strict=True)
    ]
    expected = torch.stack(heads).mean(0).unflatten(1, (4, 4))
    torch.testing.assert_close(found.importance, expected)
    plain = build(MODELS, {**METHODS['MILAN'], 'target': FEATURES})
    assert plain.target(image).importance is None


def test_features_are_those_that_are_read_without_it() -> None:
    image = torch.rand(2, 3, 32, 32)
    one, other = (method('MILAN', target={**FEATURES, 'importance': asked}).target(image)
                  for asked in (True, False))  # fmt: skip
    torch.testing.assert_close(one.values, other.values)
    torch.testing.assert_close(one.whole, other.whole)


def decoder() -> PromptingDecoder:
    return PromptingDecoder(in_dim=8, grid=(2, 3), out_dim=5, embed_dim=8, depth=2, num_heads=2)


def test_encoded_tokens_are_looked_at_and_left_alone() -> None:
    torch.manual_seed(0)
    net = decoder()
    latent = torch.randn(2, 3, 8)  # CLS and two visible tokens
    keep, hidden = torch.tensor([[4, 1]] * 2), torch.tensor([[0, 2, 3, 5]] * 2)
    said = net.everywhere(latent, keep, hidden, with_cls=True)
    fixed = net.embed(latent) + net.pos_embed[:, [0, 5, 2]]
    x = net.mask_token + net.pos_embed[:, [1, 3, 4, 6]].expand(2, -1, -1)
    for block in net.blocks:
        q = block.attn.q(block.norm1(x))
        k, v = block.attn.kv(torch.cat([fixed, block.norm1(x)], 1)).chunk(2, 2)
        out = [
            (a @ b.transpose(1, 2) / 2).softmax(-1) @ c
            for a, b, c in zip(q.split(4, 2), k.split(4, 2), v.split(4, 2), strict=True)
        ]
        x = x + block.attn.proj(torch.cat(out, 2))
        x = x + block.mlp(block.norm2(x))
    expected = net.pred(net.norm(torch.cat([fixed, x], 1)))
    torch.testing.assert_close(said[:, [0, 5, 2, 1, 3, 4, 6]], expected)
    torch.testing.assert_close(net(latent, keep, hidden), expected[:, 3:])


def test_a_step_draws_its_masks_from_torchs_generator() -> None:
    torch.manual_seed(0)
    model, image = method('MILAN'), torch.rand(2, 3, 32, 32)
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(model(image, mode='loss')['loss'].item())
    assert losses[0] == losses[1] != losses[2]
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, 1:] = True
    assert model(image, mask, mode='loss')['loss'] == model(image, mask, mode='loss')['loss']


def released(ours: dict) -> dict:
    """A file with the names of zejiangh/MILAN."""
    names = {k.removeprefix('backbone.').replace('decoder.', 'decoder_') for k in ours}
    assert 'decoder_blocks.0.attn.kv.weight' in names
    return {k.removeprefix('backbone.').replace('decoder.mask_token', 'mask_token')
            .replace('decoder.', 'decoder_'): v
            for k, v in ours.items() if not k.startswith('target.')}  # fmt: skip


def test_a_released_file_gives_its_backbone_and_its_decoder(tmp_path) -> None:
    from pretrain.methods.load import load_method

    torch.manual_seed(0)
    model = method('MILAN').eval()
    torch.save({'model': released(model.state_dict())}, tmp_path / 'milan.pth')
    loaded = load_method(
        tmp_path / 'milan.pth', backbone={'num_heads': 2}, options={'decoder_heads': 2}
    )
    assert (type(loaded.model).__name__, loaded.missing) == ('MILAN', [])
    image, mask = torch.rand(1, 3, 32, 32), torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, :3] = True
    torch.testing.assert_close(loaded.model.predict(image, mask), model.predict(image, mask))
    backbone, _ = from_checkpoint(tmp_path / 'milan.pth', num_heads=2)
    torch.testing.assert_close(backbone(image)[-1], model.backbone(image)[-1])


@pytest.mark.parametrize(('changes', 'words'), [
    ({'ratio': 1.0}, 'ratio=1.0 is not between'),
    ({'target': {**LOOKED, 'teacher': {**SWIN_TEACHER, 'input_size': 128}}}, 'no CLS token'),
    ({'target': {**LOOKED, 'teacher': {**HIERA_TEACHER, 'input_size': 64}}}, 'no CLS token'),
    ({'target': {**LOOKED, 'cache': 'somewhere'}}, 'kept on no file'),
    ({'target': {**LOOKED, 'teacher': {
        **FEATURES['teacher'], 'backbone': {
            **FEATURES['teacher']['backbone'], 'rel_pos_bias': 'shared'}}}}, 'tokens alone'),
    ({'decoder': {'type': 'PromptingDecoder', 'embed_dim': 16, 'drop_path_rate': 0.1, 'depth': 2}},
     'no drop path'),
])  # fmt: skip
def test_what_cannot_be_is_refused(changes, words) -> None:
    with pytest.raises(ValueError, match=words):
        method('MILAN', **changes)


def test_a_target_without_importance_is_named() -> None:
    with pytest.raises(ValueError, match=r'set model\.target\.importance'):
        method('MILAN', target=FEATURES)(torch.rand(2, 3, 32, 32), mode='loss')
