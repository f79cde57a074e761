"""MIMSwin against mmdet's, mmseg's and timm's independent Swin, and by itself."""

import pytest
import torch
from torch import Tensor

from mim_backbones.backbones.archs import SWIN
from mim_backbones.backbones.layers.windows import (
    plan_windows,
    window_partition,
    window_unpartition,
)
from mim_backbones.backbones.swin import MIMSwin
from mim_backbones.errors import UserError

TINY = {'embed_dim': 16, 'depths': (2, 2, 4, 2), 'num_heads': (1, 2, 2, 4)}
WINDOW = 4
VARIANTS = {
    'classifier': dict(),
    'dense': dict(out_indices=(0, 1, 2, 3)),
    'positions': dict(absolute_pos_embed=True, patch_norm=False, qkv_bias=False),
    'v2': dict(version=2),
    'v2-dense': dict(version=2, out_indices=(1, 3), pretrained_window_sizes=(4, 4, 4, 2)),
}


def make(**options) -> MIMSwin:
    return MIMSwin(TINY, img_size=64, window_size=WINDOW, mask_token=True, **options)


def randomise(model: torch.nn.Module) -> None:
    """Every parameter off its start value, so that a missing or swapped term shows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=0.2)


def some_mask(side: int) -> Tensor:
    return torch.rand(2, side, side) < 0.5


# ---------------------------------------------------------------------- other implementations


def openmmlab_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our names and channel order -> mmdet's and mmseg's (reference: simmim.md, section 7)."""
    renamed = {}
    for key, value in state.items():
        key = key.replace('layers.', 'stages.', 1).replace(
            'patch_embed.proj', 'patch_embed.projection'
        )
        key = key.replace('.attn.', '.attn.w_msa.').replace('.mlp.fc1', '.ffn.layers.0.0')
        key = key.replace('.mlp.fc2', '.ffn.layers.1')
        if 'downsample' in key:  # unfold joins channel by channel, and columns vary fastest
            joined = value.unflatten(-1, (2, 2, -1))  # column, row, channel
            value = joined.transpose(-3, -2).movedim(-1, -3).flatten(-3)
        renamed[key] = value
    return renamed


@pytest.mark.parametrize('package', ['mmdet', 'mmseg'])
@pytest.mark.parametrize('size', [(64, 64), (100, 132), (37, 18), (8, 200), (4, 4)])
def test_dense_behaviour_equals_openmmlab_for_any_input(package: str, size: tuple) -> None:
    backbones = __import__(f'{package}.models.backbones', fromlist=['SwinTransformer'])
    theirs = backbones.SwinTransformer(
        embed_dims=16, depths=TINY['depths'], num_heads=TINY['num_heads'], window_size=WINDOW
    )
    theirs.eval()
    ours = MIMSwin(TINY, window_size=WINDOW, out_indices=(0, 1, 2, 3)).eval()
    randomise(ours)
    found = theirs.load_state_dict(openmmlab_names(ours.state_dict()), strict=False)
    assert not found.unexpected_keys
    assert all(key.endswith('relative_position_index') for key in found.missing_keys)
    image = torch.randn(2, 3, *size)
    torch.testing.assert_close(ours(image), theirs(image), atol=1e-5, rtol=1e-5)


def timm_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our names -> timm's, which merges at the start of a stage instead of the end."""
    renamed = {}
    for key, value in state.items():
        parts = key.split('.')
        if 'downsample' in parts:
            parts[1] = str(int(parts[1]) + 1)
        renamed['.'.join(parts)] = value
    return renamed


@pytest.mark.parametrize(
    ('version', 'size', 'pretrained'),
    [(1, 64, None), (1, 128, None), (2, 64, None), (2, 128, None), (2, 128, (3, 4, 2, 2))],
)
def test_classifier_behaviour_equals_timm(version: int, size: int, pretrained) -> None:
    from timm.models.swin_transformer import SwinTransformer
    from timm.models.swin_transformer_v2 import SwinTransformerV2

    options = dict(img_size=size, embed_dim=16, depths=TINY['depths'], num_heads=TINY['num_heads'])
    options.update(window_size=WINDOW, num_classes=0)
    if pretrained:
        options['pretrained_window_sizes'] = pretrained
    theirs = (SwinTransformer if version == 1 else SwinTransformerV2)(**options).eval()
    ours = MIMSwin(
        TINY, version, size, window_size=WINDOW, pretrained_window_sizes=pretrained
    ).eval()
    randomise(ours)
    theirs.load_state_dict(timm_names(ours.state_dict()))
    image = torch.randn(2, 3, size, size)
    expected = theirs.forward_features(image).permute(0, 3, 1, 2)
    torch.testing.assert_close(ours(image)[0], expected, atol=1e-5, rtol=1e-5)


# ---------------------------------------------------------------------- any size, any option


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('size', [(64, 64), (32, 96), (128, 64)])
def test_shapes_for_any_grid(variant: str, size: tuple[int, int]) -> None:
    backbone = make(**VARIANTS[variant])
    maps = backbone(torch.randn(2, 3, *size))
    stages = backbone.out_indices
    expected = [(2, 16 * 2**s, size[0] // (4 * 2**s), size[1] // (4 * 2**s)) for s in stages]
    assert [tuple(m.shape) for m in maps] == expected
    assert backbone.num_features == tuple(shape[1] for shape in expected)
    tokens = backbone.forward_tokens(torch.randn(2, 3, *size))
    assert tokens.shape == (2, 128, size[0] // backbone.stride, size[1] // backbone.stride)


@pytest.mark.parametrize('variant', VARIANTS)
def test_every_parameter_has_a_depth_and_a_gradient(variant: str) -> None:
    backbone = make(**VARIANTS[variant])
    randomise(backbone)
    image = torch.randn(2, 3, 64, 64)
    loss = backbone.forward_tokens(image, some_mask(16)).square().sum()
    (loss + sum(m.square().sum() for m in backbone(image))).backward()
    for name, parameter in backbone.named_parameters():
        depth, count = backbone.get_layer_depth(f'backbone.{name}', 'backbone.')
        assert 0 <= depth < count == sum(TINY['depths']) + 2
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize('arch', SWIN)
def test_sizes_have_the_published_numbers_of_parameters(arch: str) -> None:
    # Millions with the 1000-class head, arXiv 2103.14030 table 1 and 2111.09883 (V2-H: 658 M).
    published = {'tiny': 28.3, 'small': 49.6, 'base': 87.8, 'large': 196.5, 'huge': 657.8}
    if arch not in published:
        assert SWIN[arch]['embed_dim'] == 48  # tiny-lite: no published count
        return
    with torch.device('meta'):
        backbone = MIMSwin(arch, version=2 if arch == 'huge' else 1)
    head = (backbone.num_features[0] + 1) * 1000
    count = sum(p.numel() for p in backbone.parameters()) + head
    assert count / 1e6 == pytest.approx(published[arch], abs=0.3)


def test_another_size_at_run_time_equals_loading_into_that_size() -> None:
    small = MIMSwin(TINY, img_size=64, window_size=WINDOW, absolute_pos_embed=True).eval()
    large = MIMSwin(TINY, img_size=128, window_size=WINDOW, absolute_pos_embed=True).eval()
    randomise(small)
    fitted, changes = large.fit_state(small.state_dict())
    # 64 px: the last map is 2 x 2, its window shrank to 2; 128 px: 4 x 4.
    assert changes['absolute_pos_embed'] == '(1, 256, 16) -> (1, 1024, 16)'
    assert changes['layers.3.blocks.0.attn.relative_position_bias_table'] == '(9, 4) -> (49, 4)'
    assert len(changes) == 1 + TINY['depths'][3]
    large.load_state_dict(fitted)
    image = torch.randn(1, 3, 128, 128)
    torch.testing.assert_close(small(image)[0], large(image)[0])


def test_fit_state_keeps_what_fits_and_refuses_another_architecture() -> None:
    backbone = make()
    state = backbone.state_dict()
    fitted, changes = backbone.fit_state(state)
    assert not changes and all(fitted[key] is state[key] for key in state)
    with pytest.raises(ValueError, match='no square grid'):
        make(absolute_pos_embed=True).fit_state({'absolute_pos_embed': torch.zeros(1, 50, 16)})
    for key in ('layers.0.blocks.0.attn.relative_position_bias_table', 'norm.weight'):
        with pytest.raises(ValueError, match=f'{key}.*another architecture'):
            backbone.fit_state({key: torch.zeros(49, 3)})


def test_positions_kept_as_a_map_by_the_published_dense_code_are_taken() -> None:
    backbone = make(absolute_pos_embed=True)
    positions = torch.randn(1, 16, 16, 16)
    fitted, _ = backbone.fit_state({'absolute_pos_embed': positions})
    assert torch.equal(fitted['absolute_pos_embed'][0, 18], positions[0, :, 1, 2])


def test_hidden_pixels_do_not_matter() -> None:
    backbone = make().eval()
    image, mask = torch.randn(1, 3, 64, 64), torch.zeros(1, 16, 16, dtype=torch.bool)
    mask[0, 0, :3] = True
    other = image.clone()
    other[..., :4, :12] = 7
    assert torch.equal(backbone.forward_tokens(image, mask), backbone.forward_tokens(other, mask))
    assert not torch.equal(backbone.forward_tokens(image), backbone.forward_tokens(other))


@pytest.mark.parametrize('variant', ['dense', 'v2-dense'])
def test_shifted_windows_do_not_see_the_opposite_border(variant: str) -> None:
    backbone = make(**VARIANTS[variant]).eval()
    randomise(backbone)
    image = torch.randn(1, 3, 128, 128)
    other = image.clone()
    other[..., 112:] += 1
    first, second = (backbone.intermediates(x, (1,))[0] for x in (image, other))
    assert torch.equal(first[..., :16], second[..., :16])
    assert not torch.allclose(first[..., -4:], second[..., -4:])


def test_pooled_feature_is_the_mean_of_the_last_map() -> None:
    backbone = make().eval()
    image = torch.randn(2, 3, 64, 64)
    expected = backbone(image)[0].mean((2, 3))
    torch.testing.assert_close(backbone.forward_pooled(image), expected)
    with pytest.raises(ValueError, match='known: mean'):
        backbone.forward_pooled(image, 'cls')


def test_intermediates_count_blocks_over_stages() -> None:
    backbone = make().eval()
    image = torch.randn(1, 3, 64, 64)
    ends = backbone.intermediates(image, (0, 3, -1), norm_last=True)
    assert [tuple(m.shape[1:]) for m in ends] == [(16, 16, 16), (32, 8, 8), (128, 2, 2)]
    assert torch.equal(ends[-1], backbone(image)[0])
    assert not torch.allclose(backbone.intermediates(image, (-1,))[0], ends[-1])


@pytest.mark.parametrize('variant', ['dense', 'v2'])
def test_recomputed_blocks_give_the_same_gradient(variant: str) -> None:
    plain, saving = make(**VARIANTS[variant]), make(with_cp=True, **VARIANTS[variant])
    saving.load_state_dict(plain.state_dict())
    image = torch.randn(1, 3, 64, 64)
    for backbone in (plain, saving):
        backbone(image)[-1].square().sum().backward()
    for a, b in zip(plain.parameters(), saving.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None)
        assert a.grad is None or torch.equal(a.grad, b.grad)


def test_frozen_stages_stay_frozen_in_training_mode() -> None:
    backbone = make(frozen_stages=2, out_indices=(0, 1, 2, 3), absolute_pos_embed=True).train()
    assert not backbone.layers[1].training and backbone.layers[2].training
    free = {'.'.join(n.split('.')[:2]) for n, p in backbone.named_parameters() if p.requires_grad}
    assert free == {
        'layers.2', 'layers.3', 'norm2.weight', 'norm2.bias', 'norm3.weight', 'norm3.bias'
    }  # fmt: skip


def test_layer_depth_puts_a_merging_with_the_block_before_it() -> None:
    backbone = make(absolute_pos_embed=True)
    depth = {name: backbone.get_layer_depth(name)[0] for name, _ in backbone.named_parameters()}
    assert depth['mask_token'] == depth['absolute_pos_embed'] == 0
    assert depth['layers.1.downsample.reduction.weight'] == 4
    assert depth['layers.1.blocks.1.mlp.fc2.weight'] == 4
    assert depth['layers.2.blocks.0.norm1.bias'] == 5
    assert depth['norm.weight'] == 11
    undecayed = backbone.no_weight_decay()
    assert any(name.endswith('cpb_mlp.2.weight') for name in make(version=2).no_weight_decay())
    assert {'absolute_pos_embed', 'mask_token'} < undecayed
    assert 'layers.2.blocks.3.attn.relative_position_bias_table' in undecayed


def test_norms_of_the_returned_stages_may_start_fresh() -> None:
    assert make().fresh_parameters() == {'mask_token'}
    assert make(out_indices=(1, 3)).fresh_parameters() == {
        'mask_token', 'norm1.weight', 'norm1.bias', 'norm3.weight', 'norm3.bias'
    }  # fmt: skip


def test_state_dict_holds_no_index_and_no_mask() -> None:
    assert not any('index' in key or 'attn_mask' in key for key in make().state_dict())
    assert not list(make(version=2).buffers())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(arch='bass'), 'known: tiny-lite'),
        (dict(arch={'embed_dim': 32}), 'dict of embed_dim, depths, num_heads'),
        (dict(arch={**TINY, 'num_heads': (1,)}), '4 depths, 1 heads'),
        (dict(version=3), 'version=3; known: 1, 2'),
        (dict(small_maps='crop'), 'known: shrink, pad'),
        (dict(output_norm='all'), 'known: final, each, none'),
        (dict(pretrained_window_sizes=(4, 4, 4, 2)), 'version=2'),
    ],
)
def test_wrong_options_say_what_is_known(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MIMSwin(**{'arch': TINY, 'img_size': 64, 'window_size': WINDOW, **options})


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(window_size=5), r"16x16 map of stage 0 does not divide into windows of 5.*'pad'"),
        (dict(img_size=72, window_size=9), '9x9 map of stage 1 is odd'),
    ],
)
def test_masked_images_fit_the_windows(options: dict, message: str) -> None:
    options = {'arch': TINY, 'img_size': 64, 'window_size': 4, 'mask_token': True, **options}
    backbone, side = MIMSwin(**options), options['img_size']
    image, mask = torch.randn(1, 3, side, side), torch.zeros(1, side // 4, side // 4).bool()
    with pytest.raises(UserError, match=message):
        backbone.forward_tokens(image, mask)
    padded = MIMSwin(**options, small_maps='pad').forward_tokens(image, mask)
    assert padded.shape[-2:] == (-(-side // 32), -(-side // 32))


def test_one_returned_stage_takes_the_sizes_that_several_take() -> None:
    """Where no window shrinks, both treatments of maps pad alike."""
    image = torch.randn(1, 3, 150, 217)
    shrink, pad = (
        MIMSwin(TINY, img_size=128, window_size=WINDOW, small_maps=how).eval()
        for how in ('shrink', 'pad')
    )
    pad.load_state_dict(shrink.state_dict())
    assert shrink._plans((38, 55)) == pad._plans((38, 55))
    assert torch.equal(shrink(image)[0], pad(image)[0])


def test_training_works_after_inference_mode() -> None:
    backbone = make()
    with torch.inference_mode():
        backbone(torch.randn(1, 3, 64, 64))
    backbone(torch.randn(1, 3, 64, 64))[0].sum().backward()


@pytest.mark.parametrize('variant', VARIANTS)
def test_bf16_stays_close(variant: str) -> None:
    backbone = make(**VARIANTS[variant]).eval()
    image = torch.randn(1, 3, 64, 64)
    exact = backbone(image)[-1]
    with torch.autocast('cpu', torch.bfloat16):
        rounded = backbone(image)[-1]
    assert (exact - rounded).abs().mean() < 0.03


@pytest.mark.parametrize('variant', ['classifier', 'dense', 'v2'])
def test_compiles_without_graph_breaks(variant: str) -> None:
    shallow = {**TINY, 'depths': (2, 1, 1, 1)}
    backbone = MIMSwin(
        shallow, img_size=64, window_size=WINDOW, mask_token=True, **VARIANTS[variant]
    ).eval()
    explanation = torch._dynamo.explain(backbone.forward_tokens)(
        torch.randn(1, 3, 64, 64), some_mask(16)[:1]
    )
    assert explanation.graph_break_count == 0


# ---------------------------------------------------------------------- inside the blocks


@pytest.mark.parametrize('version', [1, 2])
def test_logits_are_what_the_softmax_is_of(version: int) -> None:
    """With the mask of shifted windows, their softmax over the values is what a block attends."""
    backbone = make(version=version).eval()
    randomise(backbone)
    places = range(backbone.depth)
    maps = backbone.block_inputs(torch.randn(2, 3, 64, 64), places, some_mask(16))
    blocks = [(stage, block) for stage in backbone.layers for block in stage.blocks]
    shifted = 0
    for (stage, block), x in zip(blocks, maps, strict=True):
        grid = (x.shape[1], x.shape[2])
        plan = plan_windows(grid, WINDOW, backbone.small_maps)
        mask = stage.shift_mask(grid, plan, x) if block.shifted else None
        logits = backbone.attention_logits(block, x, (16, 16))
        shift = plan.shift if block.shifted else 0
        shifted += bool(shift)
        seen = block.norm1(x) if version == 1 else x
        windows, padded = window_partition(seen.roll((-shift, -shift), (1, 2)), plan.size)
        assert logits.shape == (len(windows), block.attn.num_heads, *[plan.size**2] * 2)
        v = block.attn._qkv(windows).chunk(3, dim=-1)[2]
        v = v.unflatten(-1, (block.attn.num_heads, -1)).transpose(1, 2)
        if mask is not None:
            logits = logits + mask.repeat(len(x), 1, 1)[:, None]
        out = block.attn.proj((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))
        found = window_unpartition(out, plan.size, padded, grid).roll((shift, shift), (1, 2))
        expected = block._attend(seen, plan, mask)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert shifted > 0
    with torch.autocast('cpu', torch.bfloat16):
        assert backbone.attention_logits(block, x, (16, 16)).dtype == torch.float32


def test_places_are_before_the_blocks_merged_where_a_stage_begins() -> None:
    backbone, image, mask = make().eval(), torch.randn(2, 3, 64, 64), some_mask(16)
    places = (0, 1, 2, 4, 9, backbone.depth)
    maps = backbone.block_inputs(image, places, mask)
    assert [tuple(x.shape[1:]) for x in maps] == [
        (16, 16, 16), (16, 16, 16), (8, 8, 32), (4, 4, 64), (2, 2, 128), (2, 2, 128),
    ]  # fmt: skip
    last = backbone.norm(maps[-1]).permute(0, 3, 1, 2)
    assert torch.equal(last, backbone.forward_tokens(image, mask))
    first, second = backbone.intermediates(image, (0, 1))
    assert torch.equal(backbone.block_inputs(image, (1,))[0].permute(0, 3, 1, 2), first)
    merged = backbone.layers[0].downsample(second.permute(0, 2, 3, 1))
    assert torch.equal(backbone.block_inputs(image, (2,))[0], merged)


def test_no_block_runs_behind_the_last_place() -> None:
    backbone, run = make().eval(), []
    for number, block in enumerate(backbone.blocks):
        block.register_forward_hook(lambda *_, number=number: run.append(number))
    backbone.block_inputs(torch.randn(1, 3, 64, 64), (0, 3))
    assert run == [0, 1, 2]
    with pytest.raises(UserError, match='no token of a window can be left out; give a mask'):
        backbone.block_inputs(torch.randn(1, 3, 64, 64), (0,), keep=torch.zeros(1, 1).long())


def test_what_its_logits_relate_in_words() -> None:
    backbone = make()
    said = [backbone.related(block, place) for place, block in enumerate(backbone.blocks)]
    assert said[:3] == [
        'windows of 4x4 in a map of 16x16, shifted by 0',
        'windows of 4x4 in a map of 16x16, shifted by 2',
        'windows of 4x4 in a map of 8x8, shifted by 0',
    ]
    assert said[-1] == 'windows of 2x2 in a map of 2x2, shifted by 0'
    assert backbone.related(backbone.blocks[-1], backbone.depth) == said[-1]
