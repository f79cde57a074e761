"""A teacher's features on the student's grid: read-out, aligner, norms, blocks, the whole image."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.training.launch import build_runner
from pretrain.images.dataset import View
from pretrain.methods.base import MaskedImageModel
from pretrain.registry import MODELS, build
from pretrain.targets.base import Student
from pretrain.targets.features import FeatureTarget
from pretrain.targets.norms import instance, layer
from pretrain.teachers.base import Features, Teacher
from tests.pretrain.small import MAE_DECODER, MAE_VIT, TEACHER, VIT, recipe, write_blobs

STUDENT = Student('ViT', (64, 64), 16)  # 4 x 4 tokens


@MODELS.register_module(force=True)
class CellColours(Teacher):
    """Mean colours of cells of `cell` pixels; block k gives k + 1 times those."""

    embed_dim, whole = 3, False

    def __init__(self, input_size: int = 64, cell: int = 16, blocks: tuple = (0,)) -> None:
        super().__init__(input_size, mean=(0.0,) * 3, std=(1.0,) * 3)
        self.grid, self.cell = (input_size // cell,) * 2, cell
        self.blocks = tuple(blocks)

    def features(self, image: Tensor) -> Features:
        cells = F.avg_pool2d(image, self.cell).flatten(2).transpose(1, 2)
        found = [cells * (k + 1) for k in self.blocks]
        return Features(found[0] if len(found) == 1 else torch.stack(found))


def colours(aligner='same', cell: int = 16, blocks=(0,), size: int | None = 64, **options):
    sizes = {} if size is None else {'input_size': size}
    teacher = {'type': 'CellColours', 'cell': cell, 'blocks': blocks, **sizes}
    target = FeatureTarget(teacher, aligner=aligner, **options)
    target.bind(STUDENT)
    return target


@pytest.fixture
def image() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


# ---------------------------------------------------------------------- aligners


def test_average_means_the_cells_of_a_finer_grid(image) -> None:
    found = colours('average', cell=8)(image).values
    torch.testing.assert_close(found, F.avg_pool2d(image, 16))


def test_interpolate_by_its_modes(image) -> None:
    coarse = F.avg_pool2d(image, 32)
    found = {
        mode: colours({'type': 'interpolate', 'mode': mode}, cell=32)(image).values
        for mode in ('nearest', 'bilinear', 'bicubic')
    }
    torch.testing.assert_close(
        found['nearest'], coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    )
    # Between two cells' centres, a quarter of the way: 3/4 and 1/4 of them, along each side.
    row = coarse[..., 0, :]
    quarter = 0.75 * row[..., 0] + 0.25 * row[..., 1]
    torch.testing.assert_close(found['bilinear'][..., 0, 1], quarter)
    assert not torch.allclose(found['bilinear'], found['bicubic'])
    default = colours('interpolate', cell=32)(image).values
    torch.testing.assert_close(default, found['bilinear'])


def test_pool_keeps_the_coarser_grid(image) -> None:
    target = colours('pool', cell=32)
    assert (target.grid, target.stride) == ((2, 2), 32)
    torch.testing.assert_close(target(image).values, F.avg_pool2d(image, 32))


def test_input_finds_the_size_that_gives_the_grid(image) -> None:
    target = colours('input', cell=32, size=None)
    assert target.frozen.net.input_size == 128
    assert target.view == View(128, 'bicubic')
    assert target(F.interpolate(image, (128, 128))).values.shape == (2, 3, 4, 4)


@pytest.mark.parametrize(('aligner', 'cell', 'message'), [
    ('same', 32, 'CellColours at 64 px gives a 2x2 grid, ViT has 4x4 tokens; .*input_size=128'),
    ('input', 32, 'CellColours at 64 px gives a 2x2 grid, ViT has 4x4 tokens; .*input_size=128'),
    ('average', 32, 'a 2x2 grid, ViT has 4x4 tokens; aligner="average" wants a multiple of the se'),
    ('pool', 8, 'an 8x8 grid|8x8 grid, ViT has 4x4 tokens; aligner="pool" wants a multiple of the'),
])  # fmt: skip
def test_grids_that_do_not_fit_are_named(aligner: str, cell: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        colours(aligner, cell)


@pytest.mark.parametrize(('options', 'message'), [
    ({'norm': ('layer', 'batch')}, "norm='batch'; known: none, layer, l2, instance"),
    ({'block_norm': 'batch'}, "block_norm='batch'; known"),
    ({'norm': {'type': 'layer', 'epsilon': 1.0}}, "norm 'layer' takes no epsilon"),
    ({'aligner': {'type': 'interpolate', 'mode': 'area'}}, "aligner.mode='area'; known: bilinear"),
    ({'join': 'sum'}, "join='sum'; known: mean, concat"),
    ({'whole': 'max'}, "whole='max'; known: own, mean"),
])  # fmt: skip
def test_unknown_options_are_refused(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        colours(**options)


# ---------------------------------------------------------------------- norms and blocks


def test_norms_apply_in_turn(image) -> None:
    plain = F.avg_pool2d(image, 16)
    unbiased = {'type': 'layer', 'unbiased': True, 'eps': 1e-3}
    found = colours(norm=('instance', unbiased))(image).values
    torch.testing.assert_close(found, layer(instance(plain), unbiased=True, eps=1e-3))


def test_blocks_are_averaged_as_data2vec_does(image) -> None:
    """Each block normalised, their mean, normalised again; arXiv 2202.03555, section 3.3."""
    plain = F.avg_pool2d(image, 16)
    options = {'blocks': (0, 4), 'block_norm': {'type': 'layer', 'eps': 1e-2}}
    found = colours(norm='layer', **options)(image).values
    mean = (layer(plain, eps=1e-2) + layer(5 * plain, eps=1e-2)) / 2
    torch.testing.assert_close(found, layer(mean))
    torch.testing.assert_close(colours(blocks=(0, 2))(image).values, 2 * plain)


def test_several_blocks_may_all_be_predicted(image) -> None:
    target = colours(blocks=(0, 2), join='concat')
    plain = F.avg_pool2d(image, 16)
    assert target.width == 6
    torch.testing.assert_close(target(image).values, torch.cat([plain, 3 * plain], dim=1))


def test_the_whole_image_is_the_teacher_s_vector_or_the_mean_patch(image) -> None:
    assert colours()(image).whole is None and not colours().whole
    target = colours(blocks=(0, 2), whole='mean')
    assert target.whole
    torch.testing.assert_close(target(image).whole, 2 * image.mean((2, 3)))
    vit = FeatureTarget({**TEACHER, 'blocks': (-1,)}, norm='l2')
    vit.bind(Student('ViT', (32, 32), 8))
    small = image[..., :32, :32]
    own = vit.frozen.net(small).whole
    torch.testing.assert_close(vit(small).whole, F.normalize(own, dim=1))


def test_a_norm_over_positions_leaves_no_vector_of_the_whole_image(image) -> None:
    target = colours(norm=('instance', 'layer'), whole='mean')
    assert not target.whole and target(image).whole is None


def test_norms_are_in_float32_under_autocast(image) -> None:
    target = colours(norm='layer')
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(target(image).values, target(image).values.float())


# ---------------------------------------------------------------------- any teacher, by config


RESNET = {'type': 'ResNetTeacher', 'random_weights': True, 'depth': 18}
PATCH16 = {**TEACHER, 'backbone': {**TEACHER['backbone'], 'patch_size': 16}}
SWAPS = {
    'layer4 at twice the size': {'aligner': 'input', 'teacher': RESNET},
    'layer3': {'teacher': {**RESNET, 'stage': 3}},
    'dilated layer4': {'teacher': {**RESNET, 'dilated': True}},
    'interpolated layer4': {'aligner': 'interpolate', 'teacher': RESNET},
    'pooled predictions': {'aligner': 'pool', 'teacher': RESNET},
    'a ViT': {'teacher': PATCH16},
    'several blocks of a ViT': {
        'block_norm': 'layer',
        'teacher': {**PATCH16, 'backbone': {**PATCH16['backbone'], 'arch': {
            'embed_dim': 32, 'depth': 3, 'num_heads': 2}}, 'blocks': (1, 2)}},
    'timm': {'aligner': 'interpolate', 'teacher': {
        'type': 'TimmTeacher', 'checkpoint': 'timm:resnet10t', 'random_weights': True}},
    "a user's own": {'teacher': {'type': 'CellColours'}},
}  # fmt: skip


def student(method: str, target: dict) -> MaskedImageModel:
    sizes = {'img_size': 64, 'patch_size': 16}
    target = {'type': 'FeatureTarget', 'norm': 'layer', **target}
    if method == 'MAE':
        parts = {'backbone': {**MAE_VIT, **sizes}, 'decoder': MAE_DECODER}
    else:
        parts = {'backbone': {**VIT, **sizes}}
    config = {'type': method, **parts, 'target': target, 'loss': 'smooth_l1', 'beta': 2.0}
    return build(MODELS, config)


def blocks_of_a_half(cells: int = 4) -> Tensor:
    """Units of 2 x 2 cells, the upper half hidden."""
    mask = torch.zeros(2, cells, cells, dtype=torch.bool)
    mask[:, : cells // 2] = True
    return mask


@pytest.mark.parametrize('method', ['MAE', 'SimMIM'])
@pytest.mark.parametrize('name', SWAPS)
def test_another_teacher_is_another_config(name: str, method: str) -> None:
    torch.manual_seed(0)
    model, mask = student(method, SWAPS[name]), blocks_of_a_half()
    before = model.target.frozen.fingerprint()
    state = {k: v.clone() for k, v in model.target.frozen.net.state_dict().items()}
    view = model.target.view
    side = 64 if view is None else view.size
    optimizer = torch.optim.AdamW(model.train().parameters(), 1e-3)
    losses = []
    image = torch.rand(2, 3, 128, 128)
    for _ in range(5):
        seen = F.interpolate(image, (64, 64), mode='area')
        own = F.interpolate(image, (side, side), mode='area')
        loss = model(seen, mask, own, mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    # Frozen: weights and batch statistics to the bit; nothing of it is saved or trained.
    after = model.target.frozen.net.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in state.items())
    assert torch.equal(model.target.frozen.fingerprint(), before)
    assert [k for k in model.state_dict() if k.startswith('target')] == ['target.fingerprint']
    assert not any(p.requires_grad for p in model.target.frozen.net.parameters())
    assert not any(name.startswith('target') for name, _ in model.named_parameters())
    assert model.predict(seen, mask).shape == (2, model.target.width, *model.target.grid)


def test_a_run_with_a_cnn_saves_nothing_of_it(tmp_path) -> None:
    target = {'type': 'FeatureTarget', 'aligner': 'input', 'norm': 'layer', 'teacher': RESNET}
    model = {
        'type': 'MAE', 'backbone': {**MAE_VIT, 'img_size': 64, 'patch_size': 16},
        'decoder': MAE_DECODER, 'target': target, 'loss': 'smooth_l1', 'beta': 2.0,
    }  # fmt: skip
    images = write_blobs(tmp_path / 'images', px=128)
    runner = build_runner(recipe(model, images, tmp_path / 'run', epochs=1))
    runner.train()
    item = runner.train_dataloader.dataset[(0, (0, 0, 0))]
    assert item['target_image'].shape == (3, 128, 128)  # of the picture, not of the student's view
    saved = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=False)['state_dict']
    assert [key for key in saved if 'target' in key] == ['target.fingerprint']
    assert not any('running' in key for key in saved)
