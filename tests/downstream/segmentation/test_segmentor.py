"""Label for label what mmseg's EncoderDecoder and SegTTAModel give.

The network runs in float64, so that a pass over several windows gives the float32 logits of one
over each.
"""

import copy
import random

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.models.segmentors.seg_tta import SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from downstream.segmentation.segmentor import MergedViews, window_boxes

CLASSES = 11
HEAD = dict(num_classes=CLASSES, channels=16, norm_cfg=dict(type='BN'), align_corners=False)
MODEL = dict(
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[99.0] * 3, std=[50.0] * 3, bgr_to_rgb=True,
        size=(64, 64)),
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=24, depth=4, num_heads=3), img_size=64,
        patch_size=8, out_indices=(0, 1, 2, 3), rel_pos_bias='per_block'),
    neck=dict(
        type='mim_backbones.BlockPyramid', in_channels=24, patch_size=8, strides=(4, 8, 16, 32)),
    decode_head=dict(
        type='UPerHead', in_channels=[24] * 4, in_index=[0, 1, 2, 3], pool_scales=(1, 2, 3, 6),
        **HEAD))  # fmt: skip


@pytest.fixture(scope='module')
def models():
    """mmseg's model and ours, of equal weights."""
    init_default_scope('mmseg')
    torch.manual_seed(3)
    theirs = MODELS.build(ConfigDict(type='EncoderDecoder', **copy.deepcopy(MODEL)))
    cfg = ConfigDict(type='downstream.WindowSegmentor', **copy.deepcopy(MODEL))
    cfg.data_preprocessor.type = 'downstream.PictureNormalizer'
    ours = MODELS.build(cfg)
    ours.load_state_dict(theirs.state_dict())
    for one in (theirs, ours):
        one.double().eval().data_preprocessor.float()
    return theirs, ours


def pictures(seed: int, count: int, **meta) -> dict[str, list]:
    """Random pictures; original sizes smaller or larger than those the model sees."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    found = {'inputs': [], 'data_samples': []}
    for _ in range(count):
        size = (rng.randint(20, 150), rng.randint(20, 150))
        original = tuple(round(side * rng.choice([0.5, 1, 1.7])) for side in size)
        noise = numbers.integers(0, 256, (3, *size), dtype=np.uint8)
        found['inputs'].append(torch.from_numpy(noise))
        sample = SegDataSample(metainfo={'ori_shape': original, 'img_shape': size, **meta})
        sample.set_metainfo({'img_path': 'x'})
        found['data_samples'].append(sample)
    return found


def alone(batch: dict[str, list]) -> list[dict[str, list]]:
    return [
        copy.deepcopy({'inputs': [image], 'data_samples': [sample]})
        for image, sample in zip(batch['inputs'], batch['data_samples'])
    ]


def float64_steps(models, monkeypatch) -> None:
    """Pictures and logits stay in float32."""
    for model in models:
        forward = model.extract_feat
        monkeypatch.setattr(model, 'extract_feat', lambda x, f=forward: f(x.double()))
        head = model.decode_head.forward
        monkeypatch.setattr(model.decode_head, 'forward', lambda x, f=head: f(x).float())


@pytest.mark.parametrize('mode', ['whole', 'slide'])
@pytest.mark.parametrize('flip', [None, 'horizontal', 'vertical'])
@pytest.mark.parametrize('seed', range(4))
def test_predictions_equal_mmsegs(seed, flip, mode, models, monkeypatch) -> None:
    theirs, ours = models
    float64_steps(models, monkeypatch)
    rng = random.Random(seed)
    cfg = dict(mode=mode, crop_size=(64, 72), stride=(rng.randint(20, 64), rng.randint(20, 64)))
    theirs.test_cfg, ours.test_cfg = ConfigDict(cfg), ConfigDict(cfg, windows=rng.choice([1, 3]))
    batch = pictures(seed, 3, **({'flip': True, 'flip_direction': flip} if flip else {}))
    wanted = [theirs.test_step(one)[0] for one in alone(batch)]
    found = ours.test_step(batch)
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one.pred_sem_seg.data, other.pred_sem_seg.data)
        assert 'seg_logits' not in one
    ours.test_cfg.keep_logits = True
    kept = ours.test_step(alone(batch)[0])[0]
    torch.testing.assert_close(kept.seg_logits.data, wanted[0].seg_logits.data)


@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_padding_of_the_test_picture_is_removed_as_in_mmseg(mode, models, monkeypatch) -> None:
    theirs, ours = models
    float64_steps(models, monkeypatch)
    cfg = ConfigDict(mode=mode, crop_size=(64, 64), stride=(40, 40))
    theirs.test_cfg = ours.test_cfg = cfg
    for model in models:
        monkeypatch.setattr(model.data_preprocessor, 'test_cfg', {'size_divisor': 32})
    batch = pictures(8, 2)
    wanted = [theirs.test_step(one)[0] for one in alone(batch)]
    for one, other in zip(ours.test_step(batch), wanted, strict=True):
        assert torch.equal(one.pred_sem_seg.data, other.pred_sem_seg.data)


def test_several_views_equal_mmsegs(models, monkeypatch) -> None:
    theirs, ours = models
    float64_steps(models, monkeypatch)
    cfg = ConfigDict(mode='slide', crop_size=(64, 64), stride=(43, 43))
    theirs.test_cfg = ours.test_cfg = cfg
    upright, turned = pictures(5, 1), pictures(6, 1, flip=True, flip_direction='horizontal')
    shown = upright['data_samples'][0].ori_shape
    turned['data_samples'][0].set_metainfo({'ori_shape': shown})
    data = {key: [upright[key], turned[key]] for key in upright}
    wanted = SegTTAModel(module=theirs).test_step(copy.deepcopy(data))[0].pred_sem_seg.data
    found = MergedViews(module=ours).test_step(data)[0].pred_sem_seg.data
    assert torch.equal(found, wanted)


def test_windows_share_passes_and_none_is_larger_than_asked(models, monkeypatch) -> None:
    _, ours = models
    seen = []
    monkeypatch.setattr(
        ours, 'extract_feat',
        lambda x, f=ours.extract_feat: seen.append(tuple(x.shape)) or f(x.double()))  # fmt: skip
    ours.test_cfg = ConfigDict(mode='slide', crop_size=(64, 64), stride=(43, 43), windows=4)
    batch = {'inputs': [torch.zeros(3, 64, 90, dtype=torch.uint8) for _ in range(3)]}
    ours.test_step(batch)
    assert seen == [(4, 3, 64, 64), (2, 3, 64, 64)]


def test_logits_of_a_whole_picture_never_exist(models, monkeypatch) -> None:
    """The largest tensor made for 11 classes is smaller than two planes."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            found = function(*args, **(kwargs or {}))
            if isinstance(found, torch.Tensor):
                largest = max(largest, found.numel())
            return found

    _, ours = models
    ours.test_cfg = ConfigDict(mode='slide', crop_size=(64, 64), stride=(43, 43), windows=1)
    sample = SegDataSample(metainfo={'ori_shape': (1100, 1000), 'img_path': 'x'})
    batch = {'inputs': [torch.zeros(3, 110, 100, dtype=torch.uint8)], 'data_samples': [sample]}
    monkeypatch.setattr(
        ours, 'extract_feat', lambda x, f=ours.extract_feat: f(x.double()))  # fmt: skip
    with Watch(), torch.no_grad():
        ours.test_step(batch)
    assert largest < 2 * 1100 * 1000


@pytest.mark.parametrize('size', [(64, 64), (40, 200), (129, 65), (20, 20), (500, 333)])
def test_windows_cover_every_pixel_and_end_with_the_picture(size) -> None:
    covered = np.zeros(size, int)
    for y1, y2, x1, x2 in window_boxes(*size, (64, 64), (43, 43)):
        assert (y2 - y1, x2 - x1) == (min(64, size[0]), min(64, size[1]))
        covered[y1:y2, x1:x2] += 1
    assert covered.min() >= 1


def test_heads_of_another_kind_are_refused() -> None:
    init_default_scope('mmseg')
    cfg = copy.deepcopy(MODEL)
    cfg['decode_head'] |= {'out_channels': 1, 'threshold': 0.5}
    cfg['decode_head'] |= {'num_classes': 2}
    with pytest.raises(ValueError, match='largest of num_classes channels'):
        MODELS.build(ConfigDict(type='downstream.WindowSegmentor', **cfg))
