"""A view is the same whenever, wherever and whether or not its picture is decoded."""

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from downstream.detection.tenth import CocoTenth
from downstream.frozen.cache import Entry, FeatureCache
from downstream.frozen.views import FixedViews
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError
from mim_backbones.training.steps.draws import seed_all

SEGMENTATION = [
    {'type': 'LoadImageFromFile'},
    {'type': 'LoadAnnotations'},
    {'type': 'RandomResize', 'scale': (256, 64), 'ratio_range': (0.5, 2.0), 'keep_ratio': True},
    {'type': 'RandomCrop', 'crop_size': (64, 64)},
    {'type': 'RandomFlip', 'prob': 0.5},
    {'type': 'PackSegInputs'},
]
DETECTION = [
    {'type': 'LoadImageFromFile'},
    {'type': 'LoadAnnotations', 'with_bbox': True, 'with_mask': True},
    {'type': 'Resize', 'scale': (64, 64), 'keep_ratio': True},
    {'type': 'RandomFlip', 'prob': 0.5},
    {'type': 'PackDetInputs'},
]


def views_of(task: str, world: Path, **options: Any) -> FixedViews:
    """Three views of each training image of a synthetic world."""
    data = load_data_spec(world)[task]
    if task == 'detection':
        init_default_scope('mmdet')
        dataset: Any = CocoTenth(
            data_root=str(data.root), ann_file=data.train_annotations, pipeline=[],
            data_prefix={'img': data.train_images}, metainfo={'classes': ('disc', 'ring')},
        )  # fmt: skip
    else:
        init_default_scope('mmseg')
        dataset = {
            'type': 'BaseSegDataset', 'data_root': str(data.root), 'pipeline': [],
            'metainfo': {'classes': data.classes}, 'ignore_index': data.ignore_index,
            'reduce_zero_label': data.reduce_zero_label, 'img_suffix': '.jpg',
            'data_prefix': {'img_path': f'images/{data.train}',
                            'seg_map_path': f'annotations/{data.train}'},
        }  # fmt: skip
    pipeline = DETECTION if task == 'detection' else SEGMENTATION
    return FixedViews(dataset, **{'pipeline': pipeline, 'views': 3, **options})


def key(sample: dict) -> str:
    return sample['data_samples'].feature_key


@pytest.mark.parametrize('task', ['segmentation', 'detection'])
def test_a_view_depends_on_seed_image_and_number_alone(task: str, world: Path) -> None:
    one, other = views_of(task, world), views_of(task, world)
    assert len(one) == 24
    first = [one[i] for i in range(24)]
    np.random.seed(5)  # noqa: NPY002
    for i in reversed(range(24)):
        again = other[i]
        assert torch.equal(again['inputs'], first[i]['inputs']) and key(again) == key(first[i])
    assert len({key(sample) for sample in first}) == 24
    seeded = [views_of(task, world, seed=1)[i] for i in range(24)]
    assert not {key(sample) for sample in seeded} & {key(sample) for sample in first}
    # Views of one image differ, and seeds do.
    pictures = [sample['inputs'].flatten().tolist() for sample in first]
    assert any(pictures[i] != pictures[i + 8] for i in range(16))
    assert [sample['inputs'].flatten().tolist() for sample in seeded] != pictures


@pytest.mark.parametrize('task', ['segmentation', 'detection'])
def test_labels_are_the_same_without_the_picture(task: str, world: Path, tmp_path: Path) -> None:
    views = views_of(task, world)
    cache = FeatureCache('d', 2**24, tmp_path)
    decoded = [views[i] for i in range(len(views))]
    maps = torch.zeros(2, 4, 4, dtype=torch.bfloat16)
    for sample in decoded:
        assert 'kept_maps' not in sample['data_samples']
        cache.put(key(sample), Entry((maps,), sample['data_samples'].ori_shape))
    views.read_from(cache)
    for i, sample in enumerate(decoded):
        blank = views[i]
        assert not blank['inputs'].any() and blank['inputs'].shape == sample['inputs'].shape
        one, other = sample['data_samples'], blank['data_samples']
        assert one.metainfo == other.metainfo
        assert torch.equal(other.kept_maps[0], maps)
        if task == 'segmentation':
            assert torch.equal(one.gt_sem_seg.data, other.gt_sem_seg.data)
        else:
            boxes = [each.gt_instances.bboxes for each in (one, other)]
            masks = [each.gt_instances.masks.to_ndarray() for each in (one, other)]
            assert torch.equal(*(getattr(each, 'tensor', each) for each in boxes))
            assert np.array_equal(*masks)


def test_workers_that_run_already_read_what_is_kept(world: Path, tmp_path: Path) -> None:
    views = views_of('segmentation', world)
    loader = DataLoader(views, 1, num_workers=2, collate_fn=list, persistent_workers=True)
    assert all('kept_maps' not in sample['data_samples'] for (sample,) in loader)
    cache = FeatureCache('d', 2**24, tmp_path)
    for i in range(len(views)):
        cache.put(key(views[i]), Entry((torch.ones(1, 2, 2).bfloat16(),), (64, 64)))
    views.read_from(cache)
    assert all('kept_maps' in sample['data_samples'] for (sample,) in loader)


def test_replaced_pictures_and_labels_are_other_views(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world, tmp_path / 'world')
    views = views_of('segmentation', tmp_path / 'world')
    before = key(views[0])
    for name in ('img_path', 'seg_map_path'):
        info = views.get_data_info(0)
        Path(info[name]).touch()
        assert key(views[0]) != before
        before = key(views[0])


def test_nothing_else_is_drawn_otherwise(world: Path) -> None:
    views = views_of('segmentation', world)

    def drawn(look: bool) -> tuple[float, float, float]:
        seed_all(3)
        if look:
            assert views[0]
        return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002

    assert drawn(True) == drawn(False)


def test_a_pipeline_that_does_not_start_with_the_picture_is_refused() -> None:
    with pytest.raises(UserError, match='first transform must be LoadImageFromFile'):
        FixedViews([], [{'type': 'PackSegInputs'}])
