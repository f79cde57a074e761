"""The one interface of targets: what every registered one declares and keeps, and room for more."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim_backbones.images.normalise import Normalise
from mim_backbones.training.launch import build_runner
from pretrain.hooks.binding import UpdateTarget
from pretrain.losses import hidden_positions, l1, masked_mean
from pretrain.methods.base import MaskedImageModel
from pretrain.methods.load import load_method
from pretrain.methods.simmim import SimMIM
from pretrain.registry import MODELS, build
from pretrain.targets.base import Progress, Student, Target, Wanted, bound_target
from pretrain.targets.features import FeatureTarget
from pretrain.teachers.backbone import BackboneTeacher
from tests.pretrain.small import (
    FEATURES,
    IDS,
    SWIN,
    TEACHER,
    VIT,
    absent_ids,
    method,
    recipe,
    write_blobs,
)  # fmt: skip

MODELS.import_from_location()
REGISTERED = {
    name for name, cls in MODELS.module_dict.items()
    if isinstance(cls, type) and issubclass(cls, Target) and cls.__module__.startswith('pretrain.')
}  # fmt: skip
TARGETS = {
    'PixelTarget': {'type': 'PixelTarget', 'reduce': 2},
    'PatchTarget': {'type': 'PatchTarget'},
    'NormalisedTarget': {'type': 'NormalisedTarget', 'window': 5},
    'ColourBins': {'type': 'ColourBins', 'reduce': 4},
    'ColourClusters': {'type': 'ColourClusters', 'reduce': 4, 'palette': 'palette.json'},
    'TokenTarget': IDS,
    'HOGTarget': {'type': 'HOGTarget'},
    'FeatureTarget': FEATURES,
    'EMABlocks': {'type': 'EMABlocks', 'blocks': 2},
}
SILENT = {'AbsentTarget', 'CachedTokens', 'BootstrapTarget'}  # tested where they are used
# No maps: test_relations.py, test_token_relations.py.
OF_TOKENS = {'RelationTarget', 'HiddenTarget', 'TokenRelationTarget'}


def test_every_registered_target_is_tried_here() -> None:
    assert set(TARGETS) | SILENT | OF_TOKENS == REGISTERED


@pytest.fixture(autouse=True)
def _palette(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    centres = [[0, 0, 0], [1, 0.5, 0], [1, 1, 1]]
    (tmp_path / 'palette.json').write_text(json.dumps({'centres': centres}))


@pytest.mark.parametrize('name', TARGETS)
def test_what_it_declares_is_what_it_gives(name: str) -> None:
    target = method('SimMIM', target=TARGETS[name]).target.train()
    image = torch.rand(2, 3, 32, 32)
    found = target(image)
    values, again = found.values, target(image).values
    assert torch.equal(values, again) and not values.requires_grad
    assert values.shape[0] == 2 and tuple(values.shape[-2:]) == target.grid
    assert target.grid == (32 // target.stride, 32 // target.stride)
    if target.kind == 'ids':
        groups = values.shape[1] if values.dim() == 4 else 1
        assert values.dtype == torch.int64 and values.min() >= 0
        assert values.max() < target.width // groups
    else:
        assert values.is_floating_point() and values.shape[1] == target.width
    if target.drawable:
        assert target.pixels(torch.rand(2, target.width, *target.grid), image).shape[1] == 3
    assert (found.whole is not None) == target.whole
    turned = target(image.flip(0)).values
    torch.testing.assert_close(turned.flip(0), values, atol=1e-5, rtol=1e-5)
    assert not any(weight.requires_grad for weight in target.parameters())
    assert bool(list(target.parameters())) == (target.state == 'ema')
    assert ('fingerprint' in target.state_dict()) == (target.state == 'frozen')


@pytest.mark.parametrize('name', TARGETS)
def test_simmim_trains_on_it_and_loads_without_its_files(name: str, tmp_path) -> None:
    images = write_blobs(tmp_path / 'images')
    model = {'type': 'SimMIM', 'backbone': VIT, 'target': TARGETS[name]}
    build_runner(recipe(model, images, tmp_path / 'run', epochs=1)).train()
    (tmp_path / 'palette.json').unlink()
    loaded, record, missing = load_method(tmp_path / 'run' / 'epoch_1.pth')
    assert missing == [] and record['target']['width'] == loaded.target.width
    assert loaded.predict(torch.rand(1, 3, 32, 32), None).shape[1] == loaded.target.width


@pytest.mark.parametrize(('target', 'message'), [
    (FEATURES | {'teacher': TEACHER | {'input_size': 48}},
     'BackboneTeacher at 48 px gives a 6x6 grid, MIMViT has 4x4 tokens; .*input_size=32 would fit'),
    (IDS | {'input_size': 48}, 'VQKDTokenizer at 48 px gives a 6x6 grid, MIMViT has 4x4 tokens'),
    ({'type': 'PixelTarget', 'reduce': 3}, 'per 3 px, which do not divide the 32x32 px of MIMViT'),
    (FEATURES | {'norm': 'batch'}, "norm='batch'; known: none, layer, l2"),
    (FEATURES | {'aligner': 'unfold'}, "aligner='unfold'; known: same, input, interpolate"),
    ({'type': 'PixelShuffleHead', 'in_dim': 1, 'stride': 1}, 'PixelShuffleHead is no target'),
])  # fmt: skip
def test_what_does_not_fit_is_refused_when_the_model_is_built(target, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SimMIM(VIT, target)


# ---------------------------------------------------------------------- features


def test_features_are_the_teacher_s_normalised() -> None:
    teacher, image = (
        BackboneTeacher(input_size=32, **without_type(TEACHER)),
        torch.rand(2, 3, 32, 32),
    )
    teacher.eval()
    seen = teacher(image)
    for norm, expected in (
        ('none', seen.patches),
        ('layer', F.layer_norm(seen.patches, seen.patches.shape[-1:], eps=1e-6)),
        ('l2', F.normalize(seen.patches, dim=-1)),
    ):
        target = FeatureTarget(teacher, norm)
        target.bind(Student('ViT', (32, 32), 8))
        found = target(image)
        rows = found.values.flatten(2).transpose(1, 2)
        torch.testing.assert_close(rows, expected, atol=1e-5, rtol=1e-5)
        assert found.whole.shape == (2, 32)


def test_of_several_blocks_it_is_the_mean_that_is_normalised() -> None:
    deep = TEACHER['backbone'] | {'arch': {**TEACHER['backbone']['arch'], 'depth': 3}}
    teacher = TEACHER | {'backbone': deep, 'blocks': (0, 2)}
    image, backbone = torch.rand(2, 3, 32, 32), method('SimMIM').backbone
    target = bound_target(FEATURES | {'teacher': teacher, 'norm': 'l2'}, backbone)
    seen, found = target.frozen.net(image), target(image)
    rows = found.values.flatten(2).transpose(1, 2)
    torch.testing.assert_close(rows, F.normalize(seen.patches.mean(0), dim=-1))
    torch.testing.assert_close(found.whole, F.normalize(seen.whole.mean(0), dim=-1))


def without_type(config: dict) -> dict:
    return {key: value for key, value in config.items() if key != 'type'}


def test_a_teacher_of_another_patch_sees_a_view_of_its_own_or_is_interpolated() -> None:
    """Patches of 14 px beside 16: 196 px; here 4 beside 8."""
    fine = TEACHER | {'backbone': TEACHER['backbone'] | {'patch_size': 4}, 'input_size': 16}
    target = bound_target(FEATURES | {'teacher': fine}, method('SimMIM').backbone)
    assert (target.grid, target.view) == ((4, 4), (16, 'bicubic'))
    anew = FEATURES | {'teacher': fine | {'input_size': 32}, 'aligner': 'interpolate'}
    target = bound_target(anew, method('SimMIM').backbone)
    assert target.frozen.net.grid == (8, 8) and target.view is None
    assert target(torch.rand(1, 3, 32, 32)).values.shape == (1, 32, 4, 4)


def test_the_cls_token_may_count_as_a_position() -> None:
    model = SimMIM(VIT, FEATURES, loss='l2', selector='masked+cls').eval()
    image, mask = torch.rand(2, 3, 32, 32), torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, :1] = True
    wanted = model.wanted(image)
    said = model.predict_with_cls(image, mask)
    torch.testing.assert_close(said[..., 1:].unflatten(2, (4, 4)), model.predict(image, mask))
    error = (said[..., 1:5] - wanted.values.flatten(2)[..., :4]).square().sum()
    error = error + (said[..., 0] - wanted.whole).square().sum()
    expected = error / (2 * 5 * 32)  # four hidden tokens and the CLS token of two images
    torch.testing.assert_close(model(image, mask, mode='loss')['loss'], expected)
    with pytest.raises(ValueError, match="selector='masked\\+cls' needs a CLS token"):
        SimMIM(SWIN, selector='masked+cls')


def test_statistics_of_a_teacher_do_not_move() -> None:
    """A CNN's batch norm stays as it is while the student trains."""
    teacher = {'type': 'TimmTeacher', 'checkpoint': 'timm:resnet10t', 'random_weights': True}
    backbone = {**VIT, 'img_size': 64, 'patch_size': 32}
    model = SimMIM(backbone, {'type': 'FeatureTarget', 'teacher': teacher}).train()
    frozen, reading = model.target.frozen, model.target.reading()
    before = frozen.fingerprint(reading)
    image, mask = torch.rand(2, 3, 64, 64), torch.ones(2, 2, 2, dtype=torch.bool)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        model(image, mask, mode='loss')['loss'].backward()
        optimizer.step()
    assert torch.equal(frozen.fingerprint(reading), before)
    assert torch.equal(model.target.fingerprint, before)


# ---------------------------------------------------------------------- room for what comes


@MODELS.register_module(force=True)
class AveragedPixels(Target):
    """The least EMA target: an average of the student's mask token, added to the pixels."""

    kind, state, width = 'pixels', 'ema', 3

    def __init__(self) -> None:
        super().__init__()
        self.average = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.register_buffer('progress', torch.zeros(()))

    def bind(self, student: Student) -> None:
        self.grid, self.stride = student.img_size, 1

    def forward(self, image: Tensor) -> Wanted:
        return Wanted(image + self.average)

    @torch.no_grad()
    def update(self, student: nn.Module, progress: Progress) -> None:
        self.average.lerp_(student.backbone.mask_token.mean().view(1), 0.5)
        self.progress.fill_(progress.share)


def test_a_target_that_follows_the_student_is_one_file(tmp_path) -> None:
    images = write_blobs(tmp_path / 'images')
    model = {'type': 'SimMIM', 'backbone': VIT, 'target': {'type': 'AveragedPixels'}}
    config = recipe(model, images, tmp_path / 'run')
    config.optim_wrapper.accumulative_counts = 2
    heard = []
    real = AveragedPixels.update
    AveragedPixels.update = lambda self, *given: heard.append(given[1]) or real(self, *given)
    try:
        runner = build_runner(config)
        runner.train()
    finally:
        AveragedPixels.update = real
    # After each step of the optimizer, of two batches.
    assert heard == [Progress(1, 2, 1), Progress(2, 2, 1)]
    saved = torch.load(tmp_path / 'run' / 'epoch_2.pth', weights_only=False)['state_dict']
    assert saved['target.average'].any() and saved['target.progress'] == 1
    resumed = build(MODELS, model)
    resumed.load_state_dict(saved)
    assert torch.equal(resumed.target.average, saved['target.average'])
    assert load_method(tmp_path / 'run' / 'epoch_2.pth').missing == []


def test_others_are_not_updated() -> None:
    class Runner:
        """What the hook touches of a Runner."""

        model = method('SimMIM')

    Runner.model.target.update = None  # calling it would fail
    UpdateTarget().after_train_iter(Runner(), 0, {}, {})


class Relations(Target):
    """The place of a target that no head predicts."""

    kind, width = 'relations', 2

    def bind(self, student: Student) -> None:
        self.grid, self.stride = student.grid, student.stride


def test_relations_have_no_head() -> None:
    with pytest.raises(ValueError, match='relations of tokens, which no head predicts'):
        SimMIM(VIT, Relations())


@MODELS.register_module(force=True)
class VisibleOnly(MaskedImageModel):
    """The least MAE: the encoder sees what is visible, a linear decoder says the rest."""

    def __init__(self, backbone: dict, target: dict) -> None:
        super().__init__(backbone, target)
        dim, patch = self.backbone.embed_dim, self.backbone.patch_size
        self.absent = nn.Parameter(torch.zeros(dim))
        self.places = nn.Parameter(0.02 * torch.randn(dim, *self.backbone.grid))
        self.decoder = nn.Sequential(nn.Conv2d(dim, 3 * patch**2, 1), nn.PixelShuffle(patch))

    def loss(self, image: Tensor, mask: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        hidden = hidden_positions(mask, self.backbone.mask_size, self.target.stride)
        return {'loss': masked_mean(l1(self.predict(image, mask), wanted.values), hidden)}

    def predict(self, image: Tensor, mask: Tensor | None) -> Tensor:
        tokens = self.backbone.forward_visible(self.normalise(image), mask)
        tokens = tokens[:, self.backbone.num_prefix :]
        full = self.absent.repeat(len(image), *mask.shape[1:], 1)
        full[~mask] = tokens.flatten(0, 1)
        return self.decoder(full.permute(0, 3, 1, 2) + self.places)


def test_an_encoder_that_sees_the_visible_alone_fits_the_same_base(tmp_path) -> None:
    images = write_blobs(tmp_path / 'images')
    backbone = {**VIT, 'mask_token': False}
    model = {'type': 'VisibleOnly', 'backbone': backbone, 'target': {'type': 'PixelTarget'}}
    runner = build_runner(recipe(model, images, tmp_path / 'run'))
    runner.train()
    loaded, record, missing = load_method(tmp_path / 'run' / 'epoch_2.pth')
    assert missing == [] and record['method'] == 'VisibleOnly'
    image, mask = torch.rand(2, 3, 32, 32), torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, 1:3] = True
    said = runner.model.eval().predict(image, mask)
    assert torch.equal(loaded.predict(image, mask), said)
    hidden = image.clone()
    hidden[:, :, 8:24] = 0.5
    assert torch.equal(loaded.predict(hidden, mask), said)  # what is hidden is not seen


def test_a_model_normalises_what_its_target_sees_as_it_is() -> None:
    model = SimMIM({**VIT}, {'type': 'ColourBins', 'reduce': 8}, mean=(0.1,) * 3, std=(0.9,) * 3)
    image = torch.rand(1, 3, 32, 32)
    ids = (F.avg_pool2d(image, 8) * 8).long().clamp(max=7)
    assert torch.equal(model.wanted(image).values, ids)
    expected = model.backbone.forward_tokens(Normalise((0.1,) * 3, (0.9,) * 3)(image))
    torch.testing.assert_close(model.predict(image, None), model.head(expected))


def test_a_stand_in_keeps_the_fingerprint_it_was_loaded_with() -> None:
    trained, loaded = method('BEiT'), method('BEiT', target=absent_ids())
    loaded.load_state_dict(trained.state_dict())
    assert trained.target.fingerprint.any()
    assert torch.equal(loaded.target.fingerprint, trained.target.fingerprint)
