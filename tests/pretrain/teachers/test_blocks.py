"""Which blocks of a teacher are read, before or after the norm, and that no more is computed."""

import pytest
import timm
import torch
from torch import Tensor

from mim_backbones.errors import UserError
from pretrain.registry import MODELS
from pretrain.teachers.backbone import BackboneTeacher, DINOTeacher
from pretrain.teachers.base import Teacher
from pretrain.teachers.clip import CLIPTeacher
from pretrain.teachers.resnet import ResNetTeacher
from pretrain.teachers.timm_model import TimmTeacher
from tests.pretrain.teachers.test_teachers import openai_state, write

VIT = {'type': 'mim_backbones.MIMViT', 'patch_size': 16,
       'arch': {'embed_dim': 32, 'depth': 4, 'num_heads': 2}}  # fmt: skip
SWIN = {'type': 'mim_backbones.MIMSwin', 'window_size': 2,
        'arch': {'embed_dim': 8, 'depths': (1, 1, 2, 1), 'num_heads': (1, 1, 2, 2)}}  # fmt: skip
HIERA = {'type': 'mim_backbones.MIMHiera',
         'arch': {'embed_dim': 16, 'depths': (1, 1, 2, 1), 'num_heads': 1}}  # fmt: skip


def clip(folder, **options) -> CLIPTeacher:
    return CLIPTeacher(write(folder, openai_state(depth=2), 'clip.pth'), input_size=64, **options)


def dino(folder, **options) -> DINOTeacher:
    net = timm.create_model('vit_tiny_patch16_224', img_size=64, depth=3, num_classes=0)
    file = write(folder, net.state_dict(), 'dino.pth')
    return DINOTeacher(file, input_size=64, loading={'num_heads': 3}, **options)


def backbone(config: dict):
    def make(folder, **options) -> BackboneTeacher:
        return BackboneTeacher(random_weights=True, backbone=config, input_size=64, **options)

    return make


def of_timm(name: str):
    def make(folder, **options) -> TimmTeacher:
        return TimmTeacher(f'timm:{name}', random_weights=True, input_size=64, **options)

    return make


def resnet(folder, **options) -> ResNetTeacher:
    return ResNetTeacher(random_weights=True, depth=18, input_size=64, **options)


# Every registered class, and the two last blocks of one grid.
TEACHERS = {
    'vit': (backbone(VIT), (-2, -1)), 'swin': (backbone(SWIN), (2, 3)),
    'hiera': (backbone(HIERA), (2, 3)), 'dino': (dino, (-2, -1)), 'clip': (clip, (-2, -1)),
    'timm vit': (of_timm('vit_tiny_patch16_224'), (-2, -1)), 'resnet': (resnet, (-2, -1)),
    'small timm vit': (of_timm('test_vit2'), (-2, -1)),
}  # fmt: skip


def test_every_registered_teacher_is_tried_here(tmp_path) -> None:
    MODELS.import_from_location()
    registered = {
        cls for cls in MODELS.module_dict.values()
        if isinstance(cls, type) and issubclass(cls, Teacher)
        and cls.__module__.startswith('pretrain.')
    }  # fmt: skip
    assert registered == {type(make(tmp_path)) for make, _ in TEACHERS.values()}


@pytest.mark.parametrize('name', TEACHERS)
def test_several_blocks_are_each_of_them(name: str, tmp_path) -> None:
    make, blocks = TEACHERS[name]
    torch.manual_seed(0)
    both = make(tmp_path, blocks=blocks)
    image = torch.rand(2, 3, 64, 64)
    found = both(image)
    assert both.num_blocks == 2 and both.whole
    shape = (2, 2, both.grid[0] * both.grid[1], both.embed_dim)
    assert found.patches.shape == shape and found.whole.shape == (2, 2, both.embed_dim)
    for k, block in enumerate(blocks):
        torch.manual_seed(0)
        one = make(tmp_path, blocks=(block,))
        alone = one(image)
        assert one.facts()['blocks'] == both.facts()['blocks'][k : k + 1]
        torch.testing.assert_close(found.patches[k], alone.patches)
        torch.testing.assert_close(found.whole[k], alone.whole)
    assert not torch.equal(found.patches[0], found.patches[1])


@pytest.mark.parametrize('name', TEACHERS)
def test_it_never_leaves_eval_mode(name: str, tmp_path) -> None:
    """BN statistics and dropped paths: a call of train() changes neither."""
    teacher = TEACHERS[name][0](tmp_path)
    for mode in (None, True, False):
        teacher = teacher if mode is None else teacher.train(mode)
        assert not any(module.training for module in teacher.modules())
    holder = torch.nn.ModuleList([teacher]).train()
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    image = torch.rand(2, 3, 64, 64)
    one, two = (holder[0](image).patches for _ in range(2))
    assert torch.equal(one, two)
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())


def test_a_vit_is_read_before_or_after_its_norm(tmp_path) -> None:
    image = torch.rand(2, 3, 64, 64)
    normed = dino(tmp_path, blocks=(0, 2))
    plain = dino_of(normed, tmp_path, final_norm=False)
    for k in range(2):
        expected = normed.net.norm(plain(image).patches[k])
        torch.testing.assert_close(normed(image).patches[k], expected)
    assert (plain(image).patches - normed(image).patches).abs().max() > 0.1


def dino_of(teacher: DINOTeacher, folder, **options) -> DINOTeacher:
    """The same weights read otherwise."""
    options = {'blocks': teacher.blocks, **options}
    file = write(folder, teacher.net.state_dict(), 'same.pth')
    return DINOTeacher(file, input_size=64, loading={'num_heads': 3}, **options)


def test_blocks_of_a_vit_are_timm_s(tmp_path) -> None:
    """DINO's `get_intermediate_layers` norms every block it gives; timm's reading does too."""
    net = timm.create_model('vit_tiny_patch16_224', img_size=64, depth=3, num_classes=0).eval()
    file = write(tmp_path, net.state_dict(), 'vit.pth')
    image = torch.rand(2, 3, 64, 64)
    for norm in (True, False):
        ours = BackboneTeacher(
            file, 64, loading={'num_heads': 3}, blocks=(0, 1), final_norm=norm
        )  # fmt: skip
        read = net.forward_intermediates(
            ours.prepare(image), indices=[0, 1], norm=norm, return_prefix_tokens=True,
            output_fmt='NLC', intermediates_only=True,
        )  # fmt: skip
        found = ours(image)
        for k, (patches, prefix) in enumerate(read):
            torch.testing.assert_close(found.patches[k], patches, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(found.whole[k], prefix[:, 0], atol=1e-5, rtol=1e-4)


def test_timm_s_cls_token_or_mean_patch() -> None:
    image = torch.rand(2, 3, 64, 64)
    vit = of_timm('vit_tiny_patch16_224')(None)
    tokens = vit.net.forward_features(vit.prepare(image))
    torch.testing.assert_close(vit(image).whole, tokens[:, 0])
    torch.testing.assert_close(vit(image).patches, tokens[:, 1:])
    cnn = of_timm('resnet10t')(None)
    pooled = cnn.net.forward_features(cnn.prepare(image)).mean((2, 3))
    torch.testing.assert_close(cnn(image).whole, pooled)


def test_clip_before_its_projection(tmp_path) -> None:
    torch.manual_seed(0)
    projected, image = clip(tmp_path), torch.rand(2, 3, 64, 64)
    torch.manual_seed(0)
    plain = clip(tmp_path, project=False)
    assert (projected.embed_dim, plain.embed_dim) == (24, 128)
    found = plain(image)
    weight = openai_weight(tmp_path)
    torch.testing.assert_close(projected(image).patches, found.patches @ weight)
    torch.testing.assert_close(projected(image).whole, found.whole @ weight)
    early = clip_of(tmp_path, project=False, blocks=(0,), final_norm=False)
    (tokens,) = plain.net.block_tokens(plain.prepare(image), (0,))
    assert torch.equal(early(image).patches, tokens[:, 1:])
    with pytest.raises(UserError, match='of normed tokens; add project=False'):
        clip(tmp_path, final_norm=False)


def openai_weight(folder) -> Tensor:
    """(width, out) of the file that `clip` wrote last."""
    return torch.load(folder / 'clip.pth')['visual.proj'].float()


def clip_of(folder, **options) -> CLIPTeacher:
    return CLIPTeacher(str(folder / 'clip.pth'), input_size=64, **options)


@pytest.mark.parametrize(('make', 'layers'), [
    (backbone(VIT), lambda t: t.net.blocks), (backbone(HIERA), lambda t: t.net.blocks),
    (of_timm('vit_tiny_patch16_224'), lambda t: t.net.blocks),
    (resnet, lambda t: [*t.net.layer1, *t.net.layer2, *t.net.layer3, *t.net.layer4]),
    (backbone(SWIN), lambda t: [b for stage in t.net.layers for b in stage.blocks]),
])  # fmt: skip
def test_nothing_behind_the_last_block_runs(make, layers, tmp_path) -> None:
    teacher, ran = make(tmp_path, blocks=(2,)), []
    for i, block in enumerate(layers(teacher)):
        block.register_forward_hook(lambda *_, i=i: ran.append(i))
    teacher(torch.rand(1, 3, 64, 64))
    assert ran == [0, 1, 2]


@pytest.mark.parametrize(('make', 'message'), [
    (backbone(SWIN), 'block 1 gives a 8x8 grid of 16 channels and block 4 a 2x2 grid of 64'),
    (backbone(HIERA), 'block 1 gives a 8x8 grid of 32 channels and block 4 a 2x2 grid of 128'),
    (of_timm('resnet10t'), 'block 1 gives a 16x16 grid of 64 channels and block 4 a 2x2 grid'),
    (resnet, 'block 1 gives a 16x16 grid of 64 channels and block 4 a 4x4 grid of 256'),
])  # fmt: skip
def test_blocks_of_different_grids_are_refused(make, message: str, tmp_path) -> None:
    with pytest.raises(UserError, match=message):
        make(tmp_path, blocks=(1, 4))
    with pytest.raises(UserError, match=r'blocks=\(99,\); name different ones of its'):
        make(tmp_path, blocks=(99,))
    with pytest.raises(UserError, match=r'blocks=\(\); name different ones'):
        make(tmp_path, blocks=())
