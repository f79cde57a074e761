import copy

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, InfiniteSampler
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image
from pycocotools import mask as coco_mask

from downstream.detection.input.geometry import Draws, plan
from downstream.detection.input.large_scale_jitter import LargeScaleJitter
from downstream.detection.input.polygon_masks import ClippedPolygons
from downstream.registry import TRANSFORMS
from mim_backbones.errors import UserError

SQUARE = [20.0, 10, 60, 10, 60, 50, 20, 50]
AS_IS = Draws(flip=0.9, scale=1.0, crop=0.5)
ORIENTATION = 0x0112


@pytest.fixture
def picture(tmp_path):
    """picture(size, mode, suffix, **save): a sample of mmdet's CocoDataset with one square."""

    def make(size=(80, 100), mode='RGB', suffix='.jpg', **save):
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        path = tmp_path / f'picture{suffix}'
        Image.fromarray(pixels).resize(size[::-1]).convert(mode).save(path, **save)
        square = {'bbox': [20, 10, 60, 50], 'bbox_label': 7, 'ignore_flag': 0, 'mask': [SQUARE]}
        return {
            'img_path': str(path), 'height': size[0], 'width': size[1], 'instances': [square],
        }  # fmt: skip

    return make


def jitter(sample, draws=AS_IS, **options):
    options = {'size': (100, 100), **options}
    return LargeScaleJitter(**options).apply(copy.deepcopy(sample), draws)


def test_what_mmdet_makes_of_it(picture):
    init_default_scope('mmdet')
    steps = [
        {'type': 'downstream.LargeScaleJitter', 'size': (100, 100), 'ratio_range': (0.1, 0.9),
         'flip': 0.5, 'pad': False},
        {'type': 'PackDetInputs'},
    ]  # fmt: skip
    np.random.seed(3)  # noqa: NPY002
    packed = Compose(steps)(picture())
    sample = packed['data_samples']
    assert packed['inputs'].dtype == torch.uint8
    assert tuple(packed['inputs'].shape[1:]) == sample.img_shape
    assert sample.ori_shape == (80, 100)
    assert isinstance(sample.gt_instances.masks, ClippedPolygons)
    assert sample.gt_instances.labels.tolist() == [7]
    assert len(sample.ignored_instances.bboxes) == 0
    factors = np.tile(sample.scale_factor, 2)
    box = np.array([40, 10, 80, 50] if sample.flip else [20, 10, 60, 50]) * factors
    np.testing.assert_allclose(sample.gt_instances.bboxes.tensor[0], box, rtol=1e-6)


def test_the_numbers_are_drawn_from_the_global_generator_in_the_published_order(picture):
    sample = picture()
    for seed in range(6):
        np.random.seed(seed)  # noqa: NPY002
        found = TRANSFORMS.build({'type': 'LargeScaleJitter', 'size': (64, 48)})(
            copy.deepcopy(sample)
        )
        np.random.seed(seed)  # noqa: NPY002
        draws = Draws(np.random.random(), np.random.uniform(0.1, 2), np.random.random())  # noqa: NPY002
        again = jitter(sample, draws, size=(64, 48))
        assert np.array_equal(found['img'], again['img'])
        after = np.random.random()  # noqa: NPY002
        np.random.seed(seed)  # noqa: NPY002
        assert np.random.random(4)[-1] == after  # noqa: NPY002  three, cropped or not


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'P', '1'])
def test_other_colours_become_three_channels(picture, mode):
    found = jitter(picture(mode=mode, suffix='.png'))
    assert found['img'].shape == (80, 100, 3)


def test_pixels_are_those_that_mmcv_loads(picture):
    from mmcv.transforms import LoadImageFromFile

    for suffix in ('.jpg', '.png'):
        sample = picture(suffix=suffix)
        loaded = LoadImageFromFile()(copy.deepcopy(sample))['img']
        assert np.array_equal(jitter(sample)['img'], loaded)


@pytest.mark.parametrize('tag', range(1, 9))
def test_exif_orientation_is_applied_as_mmcv_does(picture, tag):
    from mmcv.transforms import LoadImageFromFile

    exif = Image.Exif()
    exif[ORIENTATION] = tag
    sample = picture(exif=exif)
    loaded = LoadImageFromFile()(copy.deepcopy(sample))['img']
    if tag > 4:  # turned: the file's own sides are the other way round
        with pytest.raises(UserError, match=r'80 x 100.*says 100 x 80.*EXIF orientation'):
            jitter(sample)
        sample.update(height=100, width=80)
    for decode in ('exact', 'fast'):
        assert np.array_equal(jitter(sample, decode=decode)['img'], loaded)


def test_fast_decoding_leaves_twice_the_pixels(picture):
    sample = picture(size=(800, 1000), quality=95)
    for scale, near in ((1.0, 3.0), (0.3, 3.0)):
        draws = Draws(0.9, scale, 0.5)
        exact, fast = (jitter(sample, draws, decode=name)['img'] for name in ('exact', 'fast'))
        assert exact.shape == fast.shape
        assert 0 < np.abs(exact.astype(int) - fast).mean() < near
    same = (
        jitter(sample, AS_IS, size=(400, 400), decode=name)['img'] for name in ('exact', 'fast')
    )
    assert np.array_equal(*same)  # 2.5 pixels for each: all are read


def test_a_picture_that_contradicts_its_annotations_is_named(picture):
    sample = {**picture(), 'width': 99}
    for decode in ('exact', 'fast'):
        with pytest.raises(UserError, match=r'picture\.jpg is 100 x 80, but .* says 99 x 80'):
            jitter(sample, decode=decode)


@pytest.mark.parametrize('content', [b'', b'no picture', b'\xff\xd8\xff\xe0'])
def test_an_unreadable_picture_is_named(picture, content):
    sample = picture()
    with open(sample['img_path'], 'wb') as file:
        file.write(content)
    with pytest.raises(UserError, match=r'picture\.jpg cannot be decoded'):
        jitter(sample)


def test_a_missing_picture_is_named(picture):
    with pytest.raises(UserError, match=r'gone\.jpg cannot be read'):
        jitter({**picture(), 'img_path': 'gone.jpg'})


def test_crowds_are_dropped_and_a_picture_may_end_empty(picture):
    sample = picture()
    sample['instances'][0]['ignore_flag'] = 1
    assert len(jitter(sample)['gt_bboxes']) == 0
    sample['instances'] = []
    found = jitter(sample)
    assert found['gt_bboxes'].tensor.shape == (0, 4)
    assert found['gt_masks'].to_ndarray().shape == (0, 80, 100)


def test_run_length_masks_follow_the_picture(picture):
    sample = picture()
    raster = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([SQUARE], 80, 100)))
    packed = coco_mask.encode(np.asfortranarray(raster))
    second = {**sample['instances'][0], 'bbox_label': 2, 'mask': packed}
    sample['instances'].append(second)
    for draws in (AS_IS, Draws(0.1, 1.0, 0.5), Draws(0.1, 1.9, 0.3), Draws(0.9, 0.5, 0.0)):
        found = jitter(sample, draws)
        filled = found['gt_masks'].to_ndarray()
        assert filled.shape == (2, *found['img_shape'])
        assert np.abs(np.diff(found['gt_bboxes'].numpy(), axis=0)).max() <= 2
        assert (filled[0] ^ filled[1]).sum() < 0.06 * filled[0].sum()
    sample['instances'][1]['mask'] = {'size': [80, 99], 'counts': packed['counts']}
    with pytest.raises(UserError, match=r'a mask of .*picture\.jpg cannot be used'):
        jitter(sample)


def test_uncompressed_runs_are_read(picture):
    sample = picture()
    sample['instances'][0]['mask'] = {'size': [80, 100], 'counts': [800, 400, 6800]}
    assert jitter(sample)['gt_bboxes'].numpy().tolist() == [[10, 0, 15, 80]]


def test_boxes_alone(picture):
    sample = picture()
    del sample['instances'][0]['mask']
    found = jitter(sample, Draws(0.1, 2.0, 1.0), with_mask=False)
    assert found['gt_bboxes'].numpy().tolist() == [[0, 0, 60, 40]]  # by hand: 2 x, less 100, 60
    assert 'gt_masks' not in found


def test_padding_is_grey_and_part_of_the_picture(picture):
    found = jitter(picture(), Draws(0.9, 0.5, 0.5), pad=True)
    assert found['img_shape'] == (100, 100) == found['img'].shape[:2]
    assert (found['img'][40:] == 128).all() and (found['img'][:, 50:] == 128).all()
    assert found['gt_masks'].to_ndarray().shape == (1, 100, 100)


def test_a_picture_never_vanishes():
    assert plan((3, 640), Draws(0.9, 0.1, 0.5), (128, 128)).resized == (1, 13)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'ratio_range': (0, 2)}, 'no range above 0'),
        ({'ratio_range': (2, 1)}, 'no range above 0'),
        ({'flip': 1.5}, 'no probability'),
        ({'size': (0, 5)}, 'in pixels'),
        ({'decode': 'quick'}, 'known: exact, fast'),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        LargeScaleJitter(**options)


def test_workers_draw_what_one_process_draws(world):
    """Through the suite's own data set: what a sample draws depends on its place alone."""
    from torch.utils.data import DataLoader

    from mim_backbones.training.steps.draws import place_draws

    init_default_scope('mmdet')
    coco = {
        'type': 'mmdet.CocoDataset', 'data_root': str(world / 'coco'),
        'ann_file': 'annotations/instances_train2017.json', 'data_prefix': {'img': 'train2017/'},
        'pipeline': [{'type': 'downstream.LargeScaleJitter', 'size': (48, 48)},
                     {'type': 'mmdet.PackDetInputs'}],
    }  # fmt: skip
    dataset = DATASETS.build(coco)

    def batches(workers):
        sampler = InfiniteSampler(dataset, seed=4)
        loader = DataLoader(dataset, 1, sampler=sampler, num_workers=workers, collate_fn=list)
        assert place_draws(loader, seed=4)
        found = iter(loader)
        return [next(found)[0] for _ in range(10)]

    for one, other in zip(batches(0), batches(2), strict=True):
        assert torch.equal(one['inputs'], other['inputs'])
        boxes = (each['data_samples'].gt_instances.bboxes.tensor for each in (one, other))
        assert torch.equal(*boxes)
