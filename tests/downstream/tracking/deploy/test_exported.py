"""Exported trackers say what eager ones say: every runtime, rule and kind of tracker."""

import json

import numpy as np
import pytest
import torch

from downstream.tracking.data import read_sequences
from downstream.tracking.deploy.exported import eager_bf16, read_exported
from downstream.tracking.deploy.write import export_tracker, largest_difference
from downstream.tracking.elimination import RANGES
from downstream.tracking.tracker import Tracker, track_sequences
from downstream.tracking.two_branch import TwoBranchTracker
from mim_backbones.errors import UserError
from tests.downstream.tracking.released import sequence_tracker
from tests.downstream.tracking.test_two_branch import HIERA, SWIN

NEEDED = {'onnx': ('onnx', 'onnxscript', 'onnxruntime'), 'openvino': ('onnxscript', 'openvino')}


def skip_without(runtime: str) -> None:
    for package in NEEDED.get(runtime, ()):
        pytest.importorskip(package, reason=f'{package} is not installed')


@pytest.fixture
def exported(tmp_path):
    """Exports and reads back, or skips."""

    def export(model, runtime, **options):
        skip_without(runtime)
        torch.manual_seed(0)
        return export_tracker(model.eval(), tmp_path / 'tracker', runtime, **options)

    return export


def alike(model, other, sequences, atol=2e-3) -> None:
    """Both follow every sequence to the same boxes (pixels) and scores."""
    for ours, theirs in zip(track_sequences(model, sequences), track_sequences(other, sequences)):
        np.testing.assert_allclose(theirs.boxes, ours.boxes, atol=atol)
        np.testing.assert_allclose(theirs.scores, ours.scores, atol=1e-5)


def eliminating(rule):
    # More than half of 64 stay in block 0, fewer in block 1.
    return {'blocks': (0, 1), 'keep': (0.6, 0.5), 'template': rule}


def decided(model):
    """With scores and attention that differ from cell to cell: none wait for a rounding to win."""
    *layers, last = model.head.score
    torch.nn.init.normal_(last.weight, std=3)
    for _, norm, _ in layers:
        torch.nn.init.constant_(norm.bias, 0.5)  # where all units are 0, all scores are the prior
    for name, weight in model.backbone.named_parameters():
        if name.endswith('qkv.weight'):
            torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


# OpenVINO reads what ONNX Runtime reads; the rules are in both graphs alike.
@pytest.mark.parametrize(
    ('runtime', 'rule'),
    [
        *(('torchscript', rule) for rule in (None, *RANGES)),
        pytest.param('onnx', 'all', marks=pytest.mark.slow),
        pytest.param('openvino', 'centre-square', marks=pytest.mark.slow),
        pytest.param('openvino', None, marks=pytest.mark.slow),
    ],
)
def test_whole_sequences_box_by_box(make_model, exported, lasot_root, runtime, rule):
    torch.manual_seed(1)
    model = decided(make_model(elimination=rule and eliminating(rule), size_inertia=0.5))
    other = exported(model, runtime)
    assert other.size_inertia == 0.5
    alike(model, other, read_sequences(lasot_root, 'testing_set.txt')[:2])
    assert largest_difference(model, other) < 1e-5


@pytest.mark.parametrize('backbone', [SWIN, HIERA], ids=['swin', 'hiera'])
@pytest.mark.parametrize(
    'runtime', ['torchscript', pytest.param('openvino', marks=pytest.mark.slow)]
)
def test_two_branches(exported, lasot_root, runtime, backbone):
    torch.manual_seed(1)
    sizes = {'template_size': 64, 'search_size': 128, 'head': {'channels': 16}}
    model = decided(TwoBranchTracker(backbone, **sizes))
    alike(model, exported(model, runtime), read_sequences(lasot_root, 'testing_set.txt')[:1])


def test_a_backbone_with_positions_of_its_own_and_correlation(make_model, exported):
    backbone = {
        'type': 'mim_backbones.MIMViT',
        'arch': {'embed_dim': 32, 'depth': 2, 'num_heads': 2},
        'img_size': 64,
        'patch_size': 8,
        'cls_token': False,
        'rel_pos_bias': 'shared',
        'rope': 'dinov3',
        'layer_scale': 0.1,
    }
    torch.manual_seed(1)
    model = make_model(backbone=backbone, compare=True, elimination=eliminating('box'))
    torch.nn.init.normal_(model.backbone.rel_pos_bias.relative_position_bias_table)
    decided(model)
    assert largest_difference(model, exported(model, 'onnx')) < 1e-5


@pytest.mark.golden('tracking_ostrack_sequence', needs=['weights_file', 'frames', 'params'])
def test_the_released_tracker_follows_its_sequence(golden, tmp_path, same) -> None:
    skip_without('openvino')
    box, model = golden['init_box'].numpy(), sequence_tracker(golden)
    tracker = Tracker(export_tracker(model, tmp_path / 'tracker', 'openvino'))
    frames = golden['frames'].numpy()
    tracker.init(frames[0], box)
    found = np.stack([box, *(tracker.update(frame)[0] for frame in frames[1:])])
    same('boxes', found, golden['boxes'].double(), atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize(
    'runtime', ['torchscript', pytest.param('openvino', marks=pytest.mark.slow)]
)
def test_bfloat16_is_near(make_model, exported, runtime):
    torch.manual_seed(1)
    model = make_model().eval()
    crops = torch.randint(256, (2, 64, 64, 3), dtype=torch.uint8)
    boxes = torch.full((2, 4), 0.25)
    others = (exported(model, runtime, precision='bf16'), eager_bf16(model))
    scores = [
        each.find(each.remember(crops[:, :32, :32], boxes), crops)[1] for each in (model, *others)
    ]
    for other in scores[1:]:
        torch.testing.assert_close(other, scores[0], rtol=0.05, atol=0)


def test_the_template_is_run_once(make_model, exported, lasot_root):
    model = exported(make_model(), 'torchscript')
    runs = []
    inner = model.template
    model.template = lambda inputs: runs.append(1) or inner(inputs)
    (sequence, *_) = read_sequences(lasot_root, 'testing_set.txt')
    track_sequences(model, [sequence])
    assert len(runs) == 1 and len(sequence) > 5


def test_int8_is_calibrated_on_training_sequences(make_model, exported, lasot_root):
    from downstream.tracking.deploy.calibration import calibration_pairs

    skip_without('onnx')
    torch.manual_seed(1)
    model = decided(make_model(elimination=eliminating('centre')))
    pairs = calibration_pairs(model, lasot_root, count=8)
    assert [part.shape for part in pairs[0]] == [(32, 32, 3), (4,), (64, 64, 3)]
    assert len(pairs) == 8
    np.testing.assert_allclose(pairs[0][1], [0.25, 0.25, 0.5, 0.5], atol=0.05)  # factor 2
    other = exported(model, 'onnx', precision='int8', calibration=pairs)
    sequences = read_sequences(lasot_root, 'testing_set.txt')[:1]
    ours, theirs = (track_sequences(each, sequences)[0] for each in (model, other))
    # One step from the same box: eight bits move it by little.
    np.testing.assert_allclose(theirs.boxes[1], ours.boxes[1], atol=4)
    assert not np.array_equal(theirs.boxes[1], ours.boxes[1])


def test_what_it_refuses(make_model, exported, tmp_path):
    model = make_model()
    with pytest.raises(UserError, match='no precision int8; it has fp32, bf16'):
        exported(model, 'torchscript', precision='int8')
    (tmp_path / 'tracker').mkdir()
    (tmp_path / 'tracker' / 'thesis.tex').touch()
    with pytest.raises(UserError, match='holds something else'):
        exported(model, 'torchscript')
    with pytest.raises(UserError, match=r'no tracker\.json'):
        read_exported(tmp_path / 'tracker')
    (tmp_path / 'tracker' / 'thesis.tex').unlink()
    exported(model, 'torchscript')
    exported(model, 'torchscript')  # its own kind is replaced
    manifest = tmp_path / 'tracker' / 'tracker.json'
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, 'format': 99}))
    with pytest.raises(UserError, match='another version'):
        read_exported(tmp_path / 'tracker')
    manifest.write_text('{"runtime": 1}')
    with pytest.raises(UserError, match='no manifest'):
        read_exported(tmp_path / 'tracker')
    manifest.write_text(json.dumps(content))
    (tmp_path / 'tracker' / 'search.pt').unlink()
    with pytest.raises(UserError, match=r'search\.pt is missing'):
        read_exported(tmp_path / 'tracker')


def test_a_package_that_is_missing_is_named(make_model, exported, monkeypatch):
    skip_without('onnx')
    monkeypatch.setitem(__import__('sys').modules, 'onnxscript', None)
    with pytest.raises(UserError, match=r"onnxscript is not installed; pip install 'mimbench\["):
        exported(make_model(), 'onnx')
