import warnings

import pytest
import timm
import torch

from mim_backbones.backbones.hiera import MIMHiera

TINY = {'embed_dim': 16, 'depths': (1, 2, 2, 1), 'num_heads': 1}


def make(**options) -> MIMHiera:
    return MIMHiera(**{'arch': TINY, 'img_size': 64, 'mask_token': True, **options})


def from_timm(**options) -> tuple[MIMHiera, torch.nn.Module]:
    """timm's Hiera with random biases and positions, and ours with its weights."""
    theirs = timm.models.hiera.Hiera(
        img_size=(64, 96), embed_dim=16, num_heads=1, stages=(1, 2, 2, 1), num_classes=5, **options
    ).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    ours = MIMHiera(TINY, img_size=(64, 96), fc_norm=True, **options).eval()
    state = {
        key.replace('head.norm.', 'fc_norm.'): value
        for key, value in theirs.state_dict().items()
        if not key.startswith('head.fc')
    }
    ours.load_state_dict(state)
    return ours, theirs


@pytest.mark.parametrize('q_pool', [2, 3])
def test_equal_to_timm_with_the_same_weights(q_pool: int) -> None:
    ours, theirs = from_timm(q_pool=q_pool)
    image = torch.randn(2, 3, 64, 96)
    expected = theirs.forward_intermediates(image, intermediates_only=True)
    strides = (4, 8, 16, 32 if q_pool == 3 else 16)
    for found, their, stride in zip(ours(image), expected, strides, strict=True):
        assert found.shape[-2:] == (64 // stride, 96 // stride)
        torch.testing.assert_close(found, their, atol=1e-5, rtol=0)
    pooled = theirs.forward_head(theirs.forward_features(image), pre_logits=True)
    torch.testing.assert_close(ours.forward_pooled(image), pooled, atol=1e-5, rtol=0)
    assert ours.stride == strides[-1]


@pytest.mark.parametrize('q_pool', [2, 3])
def test_visible_units_equal_timm(q_pool: int) -> None:
    """timm drops the units that are not kept, and their pixels before the convolution."""
    ours, theirs = from_timm(q_pool=q_pool)
    image = torch.randn(2, 3, 64, 96)
    visible = torch.tensor([[1, 0, 0, 1, 1, 0], [0, 1, 1, 0, 0, 1]]).bool()
    expected = theirs.forward_intermediates(image, mask=visible, output_fmt='NHWC')[1]
    units = ours.visible_units(image, ours.stage_ends, ~visible.view(2, 2, 3))
    for found, their in zip(units, expected, strict=True):
        torch.testing.assert_close(found, their, atol=1e-5, rtol=0)
    assert torch.equal(ours.forward_visible(image, ~visible.view(2, 2, 3)), units[-1].flatten(1, 3))


def test_kept_units_run_in_the_given_order() -> None:
    backbone, image = make().eval(), torch.randn(1, 3, 64, 64)
    mask = torch.tensor([[[True, False], [True, False]]])
    raster = backbone.visible_units(image, (-1,), mask)[0]
    turned = backbone.visible_units(image, (-1,), keep=torch.tensor([[3, 1]]))[0]
    torch.testing.assert_close(turned, raster.flip(1))


def test_any_size_is_padded_and_cut() -> None:
    backbone = make(out_indices=(0, 3)).eval()
    assert [tuple(m.shape) for m in backbone(torch.randn(1, 3, 70, 33))] == [
        (1, 16, 18, 9), (1, 128, 3, 2),
    ]  # fmt: skip
    assert backbone.num_features == (16, 128)
    image = torch.randn(1, 3, 60, 64)
    padded = torch.cat([image, torch.zeros(1, 3, 4, 64)], dim=2)
    torch.testing.assert_close(backbone(image)[0], backbone(padded)[0][:, :, :15])


def test_hidden_pixels_do_not_matter() -> None:
    backbone, image = make().eval(), torch.randn(1, 3, 64, 64)
    mask = torch.tensor([[[True, False], [False, False]]])
    other = image.clone()
    other[..., :32, :32] = 7
    for method in (backbone.forward_tokens, backbone.forward_visible):
        assert torch.equal(method(image, mask), method(other, mask))
    assert not torch.equal(backbone.forward_tokens(image), backbone.forward_tokens(other))


def test_every_parameter_has_a_depth_and_a_gradient() -> None:
    backbone = make()
    mask = torch.tensor([[[True, False], [False, False]]])
    backbone.forward_tokens(torch.randn(1, 3, 64, 64), mask).square().sum().backward()
    for name, parameter in backbone.named_parameters():
        depth, count = backbone.get_layer_depth(f'backbone.{name}', 'backbone.')
        assert depth == (int(name.split('.')[1]) + 1 if name.startswith('blocks') else 0)
        assert count == 6 + 2
        assert parameter.grad is not None, name
    assert backbone.get_layer_depth('head.weight', 'backbone.') == (7, 8)
    assert backbone.mask_token.grad.abs().sum() > 0
    assert backbone.no_weight_decay() == {'pos_embed', 'mask_token'}


def test_recomputed_blocks_give_the_same_gradient() -> None:
    plain, saving = make(), make(with_cp=True)
    saving.load_state_dict(plain.state_dict())
    image = torch.randn(1, 3, 64, 64)
    for backbone in (plain, saving):
        backbone(image)[-1].sum().backward()
    for a, b in zip(plain.parameters(), saving.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None)
        assert a.grad is None or torch.equal(a.grad, b.grad)


def test_frozen_stages_stay_frozen_in_training_mode() -> None:
    backbone = make(frozen_stages=2).train()
    assert not backbone.blocks[2].training
    trainable = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert all(int(name.split('.')[1]) >= 3 for name in trainable)
    assert any(name.startswith('blocks.3') for name in trainable)


def test_positions_are_resized_on_loading_and_at_run_time() -> None:
    small, large = make().eval(), make(img_size=96).eval()
    state, changes = large.fit_state(dict(small.state_dict()))
    assert changes == {'pos_embed': '(1, 256, 16) -> (1, 576, 16)'}
    large.load_state_dict(state)
    image = torch.randn(1, 3, 96, 96)
    torch.testing.assert_close(large(image)[-1], small(image)[-1])
    with pytest.raises(ValueError, match='grid'):
        large.fit_state({'pos_embed': torch.zeros(1, 200, 16)})


def test_compiles_without_graph_breaks_or_warnings() -> None:
    backbone, image = make().eval(), torch.randn(1, 3, 64, 96)
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        found = torch.compile(backbone, backend='eager', fullgraph=True)(image)
    torch.testing.assert_close(found, backbone(image))
    torch._dynamo.reset()
    visible = torch.compile(backbone.forward_visible, backend='eager', fullgraph=True)
    keep = torch.tensor([[4, 0, 1]])
    torch.testing.assert_close(
        visible(image, keep=keep), backbone.forward_visible(image, keep=keep)
    )


def test_bf16_is_close() -> None:
    backbone, image = make(), torch.randn(1, 3, 64, 64)
    with torch.autocast('cpu', torch.bfloat16):
        found = backbone(image)[-1]
    torch.testing.assert_close(found.float(), backbone(image)[-1], atol=0.1, rtol=0.1)
    backbone.bfloat16()(image.bfloat16())


@pytest.mark.parametrize('arch', ['tiny', 'small', 'base', 'base-plus', 'large', 'huge'])
def test_as_many_parameters_as_timm(arch: str) -> None:
    with torch.device('meta'):
        ours = MIMHiera(arch, fc_norm=True)
        theirs = timm.create_model(f'hiera_{arch.replace("-", "_")}_224', num_classes=0)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


def test_as_many_parameters_as_mae_lite() -> None:
    """6.695 M with the classifier of 1000 classes, 369 thousand of them."""
    with torch.device('meta'):
        count = sum(p.numel() for p in MIMHiera('tiny-lite', fc_norm=True).parameters())
    assert (count + 369_000) / 1e6 == pytest.approx(6.695, abs=5e-4)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(arch='bass'), 'known: tiny-lite'),
        (dict(arch={**TINY, 'depths': (1, 2)}), 'it has 4'),
        (dict(img_size=72), 'not a multiple of 32'),
        (dict(q_pool=1), 'known: 2, 3'),
        (dict(arch={**TINY, 'num_heads': 3}), 'does not divide'),
    ],
)
def test_wrong_options_say_what_is_known(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_a_pool_it_cannot_do() -> None:
    with pytest.raises(ValueError, match='no CLS token'):
        make().forward_pooled(torch.randn(1, 3, 64, 64), 'cls')


@pytest.mark.parametrize('q_pool', [2, 3])
def test_the_last_map_has_the_channels_that_heads_are_told(q_pool: int) -> None:
    """They double from stage to stage, whether a stage pools or not."""
    backbone = make(q_pool=q_pool)
    assert backbone.forward_tokens(torch.rand(1, 3, 64, 64)).shape[1] == backbone.last_dim == 128


def test_logits_are_what_the_softmax_is_of() -> None:
    """Their softmax over the values is what the fused attention gives, pooled or within units."""
    backbone, image = make(q_pool=2).eval(), torch.randn(2, 3, 64, 64)
    keep = torch.tensor([[3, 1], [0, 2]])
    places = range(backbone.depth)
    for place, x in zip(places, backbone.block_inputs(image, places, keep=keep), strict=True):
        block = backbone.blocks[place]
        logits = backbone.attention_logits(block, x, (2, 2), keep)
        normed = block.norm1(x)
        v = block.attn._heads(block.attn.qkv(normed).chunk(3, dim=-1)[2])
        expected = block.attn(normed)
        out = (logits.softmax(-1) @ v).transpose(1, 2).reshape(expected.shape)
        torch.testing.assert_close(block.attn.proj(out), expected, atol=1e-5, rtol=1e-5)
    # Two units of 2 x 2 tokens, each with all; units by themselves in the first stage.
    assert logits.shape == (2, 8, 8, 8)
    first = backbone.attention_logits(backbone.blocks[0], backbone.block_inputs(
        image, (0,), keep=keep)[0], (2, 2), keep)  # fmt: skip
    assert first.shape == (2 * 2, 1, 64, 64)
    with torch.autocast('cpu', torch.bfloat16):
        assert backbone.attention_logits(block, x, (2, 2), keep).dtype == torch.float32


def test_places_are_before_the_blocks_and_behind_the_last() -> None:
    backbone, image = make().eval(), torch.randn(1, 3, 64, 64)
    mask = torch.tensor([[[True, False], [True, False]]])
    places = backbone.block_inputs(image, range(backbone.depth + 1), mask)
    for block, before, after in zip(backbone.blocks, places, places[1:], strict=False):
        assert torch.equal(block(before), after)
    maps = places[-1][:, :, 0, 0].transpose(1, 2).unflatten(2, (2, 2))
    assert torch.equal(maps, backbone.forward_tokens(image, mask))


def test_what_its_logits_relate_in_words() -> None:
    backbone = make(q_pool=2)
    said = [backbone.related(block, place) for place, block in enumerate(backbone.blocks)]
    assert said == [
        '8x8 queries and 8x8 keys a mask unit, within each',
        '4x4 queries and 8x8 keys a mask unit, within each',
        '4x4 queries and 4x4 keys a mask unit, within each',
        '2x2 queries and 4x4 keys a mask unit, within each',
        '2x2 queries and 2x2 keys a mask unit, of all of them',
        '2x2 queries and 2x2 keys a mask unit, of all of them',
    ]
