import warnings

import pytest
import torch

from mim_backbones.backbones.vit import MIMViT
from mim_backbones.errors import UserError

TINY = {'embed_dim': 32, 'depth': 3, 'num_heads': 2}
VARIANTS = {
    'mae': dict(pos_embed='sincos'),
    'simmim': dict(pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', layer_scale=0.1),
    'beit': dict(pos_embed='none', rel_pos_bias='per_block', qkv_bias='qv', layer_scale=0.1),
    'vitdet': dict(cls_token=False, window_size=3, global_blocks=(1,), decomposed_rel_pos=True),
    'dinov2': dict(num_registers=4, layer_scale=1e-5),
    'no-norm': dict(final_norm=False, qkv_bias='none'),
    'clip': dict(norm_pre=True, patch_bias=False, act='quick_gelu', norm_eps=1e-5),
    'siglip': dict(cls_token=False, act='gelu_tanh'),
    'eva02': dict(
        mlp='swiglu', mlp_ratio=8 / 3, mlp_norm=True, attn_norm=True, qkv_bias='qv', rope='eva02',
        final_norm=False,
    ),
    'eva02-det': dict(cls_token=False, window_size=3, global_blocks=(1,), rope='eva02'),
    'dinov3': dict(
        pos_embed='none', num_registers=4, layer_scale=1e-5, rope='dinov3', qk_norm=True
    ),
}  # fmt: skip


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


def test_window_larger_than_the_grid_needs_only_padding() -> None:
    backbone = MIMViT(TINY, img_size=32, patch_size=8, cls_token=False, window_size=8).eval()
    assert backbone(torch.randn(1, 3, 32, 32))[0].shape == (1, 32, 4, 4)


def test_visible_tokens_equal_all_tokens_when_nothing_is_hidden() -> None:
    backbone = make(**VARIANTS['mae']).eval()
    image = torch.randn(2, 3, 32, 32)
    tokens = backbone.forward_visible(image, torch.zeros(2, 4, 4, dtype=torch.bool))
    maps = tokens[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(maps, backbone(image)[0])


def test_kept_tokens_turn_with_their_place() -> None:
    backbone = make(**VARIANTS['dinov3']).eval()
    image = torch.randn(2, 3, 32, 32)
    keep = torch.stack([torch.randperm(16) for _ in range(2)])
    tokens = backbone.forward_visible(image, keep=keep)[:, backbone.num_prefix :]
    expected = backbone(image)[0].flatten(2).transpose(1, 2)
    expected = expected.gather(1, keep[..., None].expand(-1, -1, 32))
    torch.testing.assert_close(tokens, expected)


def test_a_window_of_rotary_blocks_is_an_image_of_its_own() -> None:
    options = dict(cls_token=False, rope='eva02', pos_embed='none')
    windowed = MIMViT(TINY, img_size=32, patch_size=8, window_size=2, **options).eval()
    plain = MIMViT(TINY, img_size=16, patch_size=8, **options).eval()
    plain.load_state_dict(windowed.state_dict())
    image = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(
        windowed(image)[0][..., :2, 2:], plain(image[..., :16, 16:])[0], atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize('variant', [v for v, o in VARIANTS.items() if 'window_size' not in o])
def test_one_image_encoded_is_the_image_passed_through(variant: str) -> None:
    backbone = make(**{**VARIANTS[variant], 'cls_token': False, 'num_registers': 0}).eval()
    image = torch.randn(1, 3, 32, 40)
    tokens = backbone.encode(backbone.embed_patches(image), [(4, 5)])
    expected = backbone.forward_tokens(image).flatten(2).transpose(1, 2)
    torch.testing.assert_close(tokens, expected)


def test_the_norm_before_the_blocks_belongs_to_the_embedding() -> None:
    backbone = make(**VARIANTS['clip'], frozen_stages=0)
    assert backbone.get_layer_depth('norm_pre.weight') == (0, TINY['depth'] + 2)
    assert not any(p.requires_grad for p in backbone.norm_pre.parameters())


def test_images_joined_turn_each_from_its_own_corner() -> None:
    backbone = MIMViT(TINY, img_size=32, patch_size=8, rope='eva02', pos_embed='none').eval()
    tokens = backbone.embed_patches(torch.randn(1, 3, 16, 24))
    once = backbone.encode(tokens, [(2, 3)])
    # Twice the same tokens at the same places: every key has a double, so softmax is unchanged.
    twice = backbone.encode(torch.cat([tokens, tokens], dim=1), [(2, 3), (2, 3)])
    torch.testing.assert_close(twice, torch.cat([once, once], dim=1))


def test_visible_tokens_want_equal_counts_and_no_relative_positions() -> None:
    image, mask = torch.randn(2, 3, 32, 32), torch.zeros(2, 4, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match='forward_visible: tokens that form no grid'):
        make(**VARIANTS['simmim']).forward_visible(image, mask)
    mask[0, 0, 0] = True
    with pytest.raises(UserError, match='exact=True'):
        make(**VARIANTS['mae']).forward_visible(image, mask)


def test_kept_tokens_run_in_the_given_order() -> None:
    backbone = make(**VARIANTS['mae']).eval()
    image, mask = torch.randn(1, 3, 32, 32), torch.ones(1, 4, 4, dtype=torch.bool)
    mask[0, 0, 1] = mask[0, 2, 3] = False
    raster = backbone.forward_visible(image, mask)
    turned = backbone.forward_visible(image, keep=torch.tensor([[11, 1]]))
    torch.testing.assert_close(turned, raster[:, [0, 2, 1]])


def test_registers_stay_out_of_the_maps_and_have_no_positions() -> None:
    backbone = make(num_registers=4).eval()
    assert backbone.pos_embed.shape == (1, 1 + 16, 32)
    image = torch.randn(1, 3, 32, 32)
    (tokens,) = backbone.block_tokens(image, (-1,))
    assert tokens.shape == (1, 1 + 4 + 16, 32)
    expected = backbone.norm(tokens[:, 5:]).transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(backbone(image)[0], expected)


def test_pooled_vectors() -> None:
    backbone = make(final_norm=False, fc_norm=True).eval()
    image = torch.randn(2, 3, 32, 32)
    (tokens,) = backbone.block_tokens(image, (-1,))
    mean = backbone.fc_norm(tokens[:, 1:].mean(1))
    torch.testing.assert_close(backbone.forward_pooled(image), mean)
    probes = backbone.probe_features(image, range(3))
    assert [tuple(p.shape) for p in probes] == [(2, 64)] * 3
    torch.testing.assert_close(probes[2], torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1))
    with pytest.raises(ValueError, match='cls_token=True'):
        make(cls_token=False).forward_pooled(image, 'cls')
    with pytest.raises(ValueError, match='known: cls'):
        backbone.forward_pooled(image, 'max')


def test_two_images_attend_to_each_other() -> None:
    backbone = make(cls_token=False).eval()
    small, large = torch.randn(1, 3, 16, 16), torch.randn(1, 3, 32, 32)
    joined = torch.cat([backbone.embed_patches(small), backbone.embed_patches(large)], dim=1)
    other = torch.cat([backbone.embed_patches(small + 1), backbone.embed_patches(large)], dim=1)
    grids = [(2, 2), (4, 4)]
    together = backbone.encode(joined, grids)
    assert together.shape == (1, 4 + 16, 32)
    assert not torch.allclose(together[:, 4:], backbone.encode(other, grids)[:, 4:])


@pytest.mark.parametrize('kind', ['shared', 'per_block'])
def test_joined_images_keep_their_relative_positions(kind: str) -> None:
    backbone = make(cls_token=False, pos_embed='none', rel_pos_bias=kind).eval()
    for name, table in backbone.named_parameters():
        if name.endswith('bias_table'):
            torch.nn.init.normal_(table)
    image = torch.randn(1, 3, 32, 32)
    alone = backbone.forward_tokens(image).flatten(2).transpose(1, 2)
    tokens = backbone.embed_patches(image)
    torch.testing.assert_close(backbone.encode(tokens, [(4, 4)]), alone)
    # Without positions between them, the order of two images does not count.
    other = backbone.embed_patches(torch.randn(1, 3, 16, 16))
    first = backbone.encode(torch.cat([tokens, other], 1), [(4, 4), (2, 2)])
    last = backbone.encode(torch.cat([other, tokens], 1), [(2, 2), (4, 4)])
    torch.testing.assert_close(first[:, :16], last[:, 4:])


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
    shared = make(frozen_stages=1, **VARIANTS['simmim'])
    assert not shared.rel_pos_bias.relative_position_bias_table.requires_grad


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(pos_embed='learnt'), 'known: learned'),
        (dict(arch='bass'), 'known: tiny'),
        (dict(arch={'embed_dim': 32}), 'dict of embed_dim'),
        (dict(window_size=2), 'CLS'),
        (dict(img_size=36), 'not a multiple of 8'),
        (dict(act='swish'), 'known: gelu, gelu_tanh'),
        (dict(mlp='glu'), 'known: plain, swiglu'),
        (dict(rope='rotary'), 'known: none, eva02, dinov3, or a dict'),
        (dict(rope=dict(theta=100.0, period=2)), 'period'),
        (dict(rope=dict(theta=100.0, pairs='thirds')), 'neighbours or halves'),
        (dict(rope='dinov3', decomposed_rel_pos=True), 'exclude each other'),
        (dict(arch={**TINY, 'embed_dim': 36}, rope='eva02'), 'heads of 18 channels'),
        (dict(num_registers=2, rel_pos_bias='shared'), 'no relative positions'),
        (dict(window_size=2, cls_token=False, rel_pos_bias='shared'), 'decomposed'),
    ],
)
def test_wrong_options_say_what_is_known(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MIMViT(**{'arch': TINY, 'img_size': 32, 'patch_size': 8, **options})


@pytest.mark.parametrize('variant', VARIANTS)
def test_compiles_without_graph_breaks_or_warnings(variant: str) -> None:
    backbone, image = make(**VARIANTS[variant]).eval(), torch.randn(1, 3, 40, 24)
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        found = torch.compile(backbone.forward_tokens, backend='eager', fullgraph=True)(image)
    torch.testing.assert_close(found, backbone.forward_tokens(image))


def test_kept_tokens_compile_without_graph_breaks() -> None:
    backbone, image = make(**VARIANTS['mae']).eval(), torch.randn(2, 3, 32, 32)
    keep = torch.tensor([[3, 1], [0, 15]])
    torch._dynamo.reset()
    found = torch.compile(backbone.forward_visible, backend='eager', fullgraph=True)(
        image, keep=keep
    )
    torch.testing.assert_close(found, backbone.forward_visible(image, keep=keep))


@pytest.mark.parametrize('variant', VARIANTS)
def test_bf16_is_close_and_trains(variant: str) -> None:
    backbone = make(**VARIANTS[variant])
    image, mask = torch.randn(2, 3, 32, 32), torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, :2] = True
    exact = backbone.forward_tokens(image, mask)
    with torch.autocast('cpu', torch.bfloat16):
        found = backbone.forward_tokens(image, mask)
    torch.testing.assert_close(found.float(), exact, atol=0.1, rtol=0.1)
    found.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in backbone.parameters() if p.grad is not None)
    backbone.bfloat16().forward_tokens(image.bfloat16(), mask)


@pytest.mark.parametrize(('arch', 'patch_size', 'millions'), [
    ('tiny', 16, 5.5), ('tiny-h12', 16, 5.5), ('small', 16, 21.7), ('small-h12', 16, 21.7),
    ('base', 16, 85.8), ('large', 14, 303.2), ('huge', 14, 630.8),
])  # fmt: skip
def test_sizes(arch: str, patch_size: int, millions: float) -> None:
    """Without the classifier, as timm counts them."""
    with torch.device('meta'):
        backbone = MIMViT(arch, patch_size=patch_size)
    count = sum(p.numel() for p in backbone.parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.1)


def test_the_final_norm_on_every_map() -> None:
    """iBOT's segmentation (`out_with_norm`) normalises each map that it returns."""
    torch.manual_seed(0)
    each = make(out_indices=(0, -1), output_norm='each').eval()
    last = make(out_indices=(0, -1)).eval()
    last.load_state_dict(each.state_dict())
    image = torch.randn(1, 3, 32, 32)
    (first, end), (bare, same) = each(image), last(image)
    assert torch.equal(end, same)
    normed = each.norm(bare.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(first, normed)


# ---------------------------------------------------------------------- inside the blocks

GLOBAL = {name: options for name, options in VARIANTS.items() if 'window_size' not in options}


@pytest.mark.parametrize('variant', GLOBAL)
@pytest.mark.parametrize('some', [False, True])
def test_logits_are_what_the_softmax_is_of(variant: str, some: bool) -> None:
    """Their softmax over the values is what the fused attention gives."""
    backbone = make(**GLOBAL[variant]).eval()
    if some and variant in ('simmim', 'beit'):
        return  # relative positions have no place without a grid
    for table in (p for n, p in backbone.named_parameters() if 'relative_position' in n):
        torch.nn.init.normal_(table)
    keep = torch.rand(2, 20).argsort(1)[:, :6] if some else None
    image, grid = torch.randn(2, 3, 40, 32), (5, 4)
    places = range(backbone.depth)
    for place, x in zip(places, backbone.block_inputs(image, places, keep=keep), strict=True):
        block = backbone.blocks[place]
        logits = backbone.attention_logits(block, x, grid, keep)
        normed = block.norm1(x)
        v = block.attn._qkv(normed).chunk(3, dim=-1)[2].unflatten(-1, (2, -1)).transpose(1, 2)
        out = (logits.softmax(-1) @ v).transpose(1, 2).flatten(2)
        bias = backbone.relative_bias(grid) if keep is None else None
        if block.rel_pos_bias is not None:
            bias = block.rel_pos_bias(grid)
        rope, _ = backbone._rotations(grid, x.device, keep)
        expected = block.attn(normed, bias, grid, rope)
        found = block.attn.proj(block.attn.norm(out))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_places_are_before_the_blocks_and_behind_the_last() -> None:
    backbone = make().eval()
    image = torch.randn(1, 3, 32, 32)
    outputs = backbone.block_tokens(image, (0, 1, 2))
    places = backbone.block_inputs(image, (0, 1, 2, 3))
    for place, output in zip(places[1:], outputs, strict=True):
        assert torch.equal(place, output)
    torch.testing.assert_close(places[0][:, 1:], backbone.embed_patches(image))


def test_windows_have_no_logits_of_all_pairs() -> None:
    backbone = make(**VARIANTS['vitdet'])
    with pytest.raises(ValueError, match='attention_logits: windows and decomposed positions'):
        backbone.attention_logits(backbone.blocks[0], torch.zeros(1, 16, 32), (4, 4))
