"""A measurement is of the tensor that the loss sees: by another way, and by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mim_backbones.errors import UserError
from mim_backbones.probes.diversity import similarity_by_distance, token_diversity
from pretrain.diversity.candidates import Candidate, open_candidates
from pretrain.diversity.measure import measure, readable
from pretrain.images.dataset import View
from pretrain.images.decode import list_images, load_image
from pretrain.registry import MODELS, build
from pretrain.targets.base import Student, bound_target
from pretrain.targets.patches import PatchTarget
from tests.pretrain.small import FEATURES, TEACHER, method, write_blobs


@pytest.fixture
def files(tmp_path) -> list[str]:
    return list_images(write_blobs(tmp_path / 'images', count=20, px=48))


def test_features_after_aligner_and_norm(files) -> None:
    """The teacher's 8 x 8 at 64 px, interpolated to the student's 4 x 4, then a LayerNorm."""
    config = {'type': 'FeatureTarget', 'norm': 'layer', 'aligner': 'interpolate',
              'teacher': {**TEACHER, 'input_size': 64}}  # fmt: skip
    target = bound_target(config, method('SimMIM').backbone)
    assert target.view is not None
    found = measure(Candidate('t', 't', target, target.view), files)
    teacher = build(MODELS, {**TEACHER, 'input_size': 64}).eval()
    image = torch.stack([load_image(path, 64, 'bicubic') for path in files]) / 255
    with torch.no_grad():
        wide = teacher(image).patches.mT.unflatten(2, (8, 8))
    maps = F.interpolate(wide, (4, 4), mode='bilinear', antialias=True)
    tokens = F.layer_norm(maps.flatten(2).mT, maps.shape[1:2], eps=1e-6)
    values = token_diversity(tokens)
    assert (found.grid, found.width, found.images) == ((4, 4), 32, 20)
    assert found.diversity.mean == pytest.approx(values.mean().item(), abs=1e-6)
    assert found.diversity.deviation == pytest.approx(values.std().item(), abs=1e-6)
    curve = similarity_by_distance(tokens.mT.unflatten(2, (4, 4))).mean(0)
    assert found.similarity == pytest.approx(curve.tolist(), abs=1e-6)
    own = token_diversity(wide.flatten(2).mT).mean().item()
    assert found.diversity.mean != pytest.approx(own, abs=1e-3)  # of the teacher's own grid


def test_size_and_cost_by_hand(files) -> None:
    """A block of width 32 on 16 patches of 8 px and CLS."""
    target = bound_target(FEATURES, method('SimMIM').backbone)
    found = measure(Candidate('t', 't', target, View(32)), files[:3])
    dense = 32 * 96 + 32 * 32 + 2 * 32 * 128
    assert found.macs == 16 * 3 * 64 * 32 + 17 * dense + 2 * 17 * 17 * 32
    blocks = dense + 96 + 32 + 128 + 32 + 4 * 32
    assert found.parameters == 3 * 64 * 32 + 32 + 32 + 17 * 32 + blocks + 2 * 32
    assert found.milliseconds > 0


def test_pixels_cost_nothing_and_a_single_image_has_no_deviation(files) -> None:
    (pixels,) = open_candidates(['pixels'], 32, 8)
    found = measure(pixels, files[:1])
    assert (found.parameters, found.macs, found.grid, found.width) == (0, 0, (4, 4), 192)
    assert found.diversity.deviation is None
    patches = PatchTarget(norm_pix=False)
    patches.bind(Student('', (32, 32), 8))
    tokens = patches(load_image(files[0], 32, 'bicubic')[None] / 255).values.flatten(2).mT
    assert found.diversity.mean == pytest.approx(token_diversity(tokens).item(), abs=1e-6)
    assert str(found.diversity) == f'{found.diversity.mean:.3f}'


def test_a_batch_changes_nothing(files, monkeypatch) -> None:
    (candidate,) = open_candidates(['norm-pix'], 32, 8)
    whole = measure(candidate, files)
    monkeypatch.setattr('pretrain.diversity.measure.BATCH', 3)
    parts = measure(candidate, files)
    assert parts.diversity.mean == pytest.approx(whole.diversity.mean, abs=1e-9)
    assert parts.similarity == pytest.approx(whole.similarity, abs=1e-9)


def test_alignment_moves_diversity(files) -> None:
    """img2vec.md 3.5: repeating a map's cells hardly does, blending them lowers it."""
    maps = torch.randn(4, 16, 7, 7).relu()
    near, blended = (F.interpolate(maps, (14, 14), mode=mode) for mode in ('nearest', 'bilinear'))
    own, repeated, soft = (token_diversity(m.flatten(2).mT).mean() for m in (maps, near, blended))
    assert own * 0.97 < repeated < own
    assert soft < 0.9 * own


def test_only_what_decodes_is_seen_by_all(files) -> None:
    with open(files[1], 'wb') as stream:
        stream.write(b'no image')
    assert readable(files[:3]) == ([files[0], files[2]], [files[1]])
    with pytest.raises(UserError, match='cannot be decoded'):
        readable(files[1:2])


def test_what_is_not_finite_is_refused(tmp_path) -> None:
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / 'black.png')
    (candidate,) = open_candidates(['pixels'], 32, 8)
    candidate.target.normalise.std.fill_(0)
    with pytest.raises(UserError, match='pixels gives values that are not finite'):
        measure(candidate, [str(tmp_path / 'black.png')])
