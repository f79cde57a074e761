import pytest
import timm
import torch

from mim_backbones.vit import MIMViT

TINY = {'embed_dim': 32, 'depth': 3, 'num_heads': 2}
VARIANTS = {
    'mae': dict(pos_embed='sincos'),
    'simmim': dict(pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', layer_scale=0.1),
    'beit': dict(pos_embed='none', rel_pos_bias='per_block', qkv_bias='qv', layer_scale=0.1),
    'vitdet': dict(cls_token=False, window_size=3, global_blocks=(1,), decomposed_rel_pos=True),
    'no-norm': dict(final_norm=False, qkv_bias='none'),
}


def make(**options) -> MIMViT:
    return MIMViT(TINY, img_size=32, patch_size=8, mask_token=True, **options)


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('size', [(32, 32), (40, 24)])
def test_shapes_for_any_grid(variant: str, size: tuple[int, int]) -> None:
    backbone = make(out_indices=(0, -1), **VARIANTS[variant])
    maps = backbone(torch.randn(2, 3, *size))
    grid = (size[0] // 8, size[1] // 8)
    assert [tuple(m.shape) for m in maps] == [(2, 32, *grid)] * 2


@pytest.mark.parametrize('variant', VARIANTS)
def test_every_parameter_has_a_depth_and_a_gradient(variant: str) -> None:
    backbone = make(**VARIANTS[variant])
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, :2] = True
    backbone.forward_tokens(torch.randn(2, 3, 32, 32), mask).square().sum().backward()
    for name, parameter in backbone.named_parameters():
        depth, count = backbone.get_layer_depth(f'backbone.{name}', 'backbone.')
        assert 0 <= depth < count == TINY['depth'] + 2
        assert not parameter.requires_grad or parameter.grad is not None, name
    assert backbone.mask_token.grad.abs().sum() > 0


def test_hidden_pixels_do_not_matter() -> None:
    backbone = make(**VARIANTS['simmim']).eval()
    image = torch.randn(1, 3, 32, 32)
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, 0, 0] = True
    other = image.clone()
    other[..., :8, :8] = 7
    assert torch.equal(backbone.forward_tokens(image, mask), backbone.forward_tokens(other, mask))
    assert not torch.equal(backbone.forward_tokens(image), backbone.forward_tokens(other))


def test_equal_to_timm_with_the_same_weights() -> None:
    theirs = timm.create_model(
        'vit_tiny_patch16_224', img_size=32, patch_size=8, embed_dim=32, depth=3, num_heads=2,
        num_classes=0,
    ).eval()  # fmt: skip
    ours = MIMViT(TINY, img_size=32, patch_size=8).eval()
    ours.load_state_dict(theirs.state_dict())
    image = torch.randn(2, 3, 32, 32)
    expected = theirs.forward_features(image)[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(ours(image)[0], expected, atol=1e-5, rtol=0)


def test_window_larger_than_the_grid_needs_only_padding() -> None:
    backbone = MIMViT(TINY, img_size=32, patch_size=8, cls_token=False, window_size=8).eval()
    assert backbone(torch.randn(1, 3, 32, 32))[0].shape == (1, 32, 4, 4)


def test_visible_tokens_equal_all_tokens_when_nothing_is_hidden() -> None:
    backbone = make(**VARIANTS['mae']).eval()
    image = torch.randn(2, 3, 32, 32)
    tokens = backbone.forward_visible(image, torch.zeros(2, 4, 4, dtype=torch.bool))
    maps = tokens[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(maps, backbone(image)[0])


def test_visible_tokens_want_equal_counts() -> None:
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[0, 0, 0] = True
    with pytest.raises(ValueError, match='different numbers'):
        make(**VARIANTS['mae']).forward_visible(torch.randn(2, 3, 32, 32), mask)


def test_two_images_attend_to_each_other() -> None:
    backbone = make(cls_token=False).eval()
    small, large = torch.randn(1, 3, 16, 16), torch.randn(1, 3, 32, 32)
    joined = torch.cat([backbone.embed_patches(small), backbone.embed_patches(large)], dim=1)
    other = torch.cat([backbone.embed_patches(small + 1), backbone.embed_patches(large)], dim=1)
    assert backbone.encode(joined).shape == (1, 4 + 16, 32)
    assert not torch.allclose(backbone.encode(joined)[:, 4:], backbone.encode(other)[:, 4:])


def test_intermediates_come_unnormed_in_one_pass() -> None:
    backbone = make().eval()
    image = torch.randn(1, 3, 32, 32)
    first, last = backbone.intermediates(image, (0, 2))
    normed = backbone.norm(last.flatten(2).transpose(1, 2)).transpose(1, 2).view_as(last)
    torch.testing.assert_close(normed, backbone(image)[0])
    assert not torch.allclose(first, last)


def test_recomputed_blocks_give_the_same_gradient() -> None:
    plain, saving = make(), make(with_cp=True)
    saving.load_state_dict(plain.state_dict())
    image = torch.randn(1, 3, 32, 32)
    for backbone in (plain, saving):
        backbone(image)[0].sum().backward()
    for a, b in zip(plain.parameters(), saving.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None)
        assert a.grad is None or torch.equal(a.grad, b.grad)


def test_frozen_stages_stay_frozen_in_training_mode() -> None:
    backbone = make(frozen_stages=2).train()
    assert not backbone.blocks[1].training
    trainable = {name.split('.')[0] for name, p in backbone.named_parameters() if p.requires_grad}
    assert trainable == {'blocks', 'norm'}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(pos_embed='learnt'), 'known: learned'),
        (dict(arch='bass'), 'known: tiny'),
        (dict(arch={'embed_dim': 32}), 'dict of embed_dim'),
        (dict(window_size=2), 'CLS'),
        (dict(window_size=2, cls_token=False, rel_pos_bias='shared'), 'decomposed'),
    ],
)
def test_wrong_options_say_what_is_known(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MIMViT(**{'arch': TINY, 'img_size': 32, 'patch_size': 8, **options})


def test_indivisible_input_says_how_to_pad() -> None:
    with pytest.raises(ValueError, match='pad_size_divisor=8'):
        make()(torch.randn(1, 3, 30, 32))


def test_compiles_without_graph_breaks() -> None:
    backbone = make(**VARIANTS['simmim']).eval()
    explanation = torch._dynamo.explain(backbone.forward_tokens)(torch.randn(1, 3, 32, 32))
    assert explanation.graph_break_count == 0
