"""OpenMMLab's habits: what the options of the commands change, and what they refuse."""

import json
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config

from mim_backbones.console.recipes import find_recipe
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config
from mim_backbones.training.overrides import overrides

DETECTOR, SEGMENTER, TRACKER = (
    'mask-rcnn_vit_smoke_coco', 'upernet_vit_smoke_ade', 'one-stream_vit_smoke_lasot',
)  # fmt: skip


def changed(recipe: str, **habits) -> Config:
    cfg = read_config(find_recipe(recipe))
    for change in overrides(**habits):
        change(cfg)
    return cfg


@pytest.mark.parametrize('recipe', [DETECTOR, SEGMENTER, TRACKER])
def test_data_of_a_downstream_recipe(recipe: str, world: Path) -> None:
    cfg = changed(recipe, data=str(world))
    for split in ('train', 'test'):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset = dataset.get('dataset', dataset)
        for one in dataset.get('sets', [dataset]):
            assert str(one.get('data_root', one.get('root'))).startswith(str(world))


def test_broken_data_are_refused_before_the_training(world: Path, tmp_path: Path, capsys) -> None:
    shutil.copytree(world / 'coco', tmp_path / 'coco')
    (tmp_path / 'data.yaml').write_text('detection: {root: coco}\n')
    file = tmp_path / 'coco' / 'annotations' / 'instances_val2017.json'
    content = json.loads(file.read_text())
    for annotation in content['annotations']:
        del annotation['segmentation']
    file.write_text(json.dumps(content))
    cfg = changed(DETECTOR, data=str(tmp_path))
    assert 'boxes alone are trained and scored' in capsys.readouterr().err
    assert 'mask_head' not in cfg.model.roi_head
    for annotation in content['annotations']:
        annotation['bbox'] = [0, 0, 0, 0]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r'none of its .* boxes can be used'):
        changed(DETECTOR, data=str(tmp_path))


def test_data_of_pretraining_may_be_a_folder_of_images(world: Path, tmp_path: Path) -> None:
    images = world / 'imagenet' / 'train'
    for source in (world, images):
        cfg = changed('simmim_demo', data=str(source))
        assert cfg.train_dataloader.dataset.root == str(images.resolve())
    with pytest.raises(UserError, match=r'neither a data\.yaml nor images'):
        changed('simmim_demo', data=str(tmp_path))
    with pytest.raises(UserError, match='names no detection data'):
        changed(DETECTOR, data=str(images))


def test_amp_is_bf16_where_the_recipe_chooses_its_precision() -> None:
    assert changed('simmim_demo', amp=True).optim_wrapper.precision == 'bf16'


def test_auto_scale_lr_wants_the_batch_of_the_rate() -> None:
    assert changed('simmim', auto_scale_lr=True).auto_scale_lr.enable
    with pytest.raises(UserError, match=r'no auto_scale_lr\.base_batch_size'):
        changed(SEGMENTER, auto_scale_lr=True)


def test_predictions_are_kept_beside_the_metric() -> None:
    own, kept = changed(DETECTOR, out='p.pkl').test_evaluator
    assert own.type == 'downstream.InstanceAP' and kept.type == 'mmdet.DumpDetResults'
    assert changed(SEGMENTER, out='labels').test_evaluator[1].output_dir == 'labels'
    with pytest.raises(UserError, match=r'name a file \.pkl'):
        changed(DETECTOR, out='folder')


def test_views_and_pictures() -> None:
    cfg = changed(SEGMENTER, tta=True, show_dir='pictures')
    assert cfg.model.type == 'SegTTAModel'
    assert cfg.model.module.type == 'downstream.WindowSegmentor'
    *_, views = cfg.test_dataloader.dataset.pipeline
    assert [len(step) for step in views['transforms']] == [2, 1, 1]
    assert cfg.default_hooks.visualization.draw
    assert cfg.visualizer.type == 'SegLocalVisualizer'
    for habit in ({'tta': True}, {'show_dir': 'pictures'}):
        with pytest.raises(UserError, match='mmdet, mmseg have'):
            changed(TRACKER, **habit)
    with pytest.raises(UserError, match='merges boxes only'):
        changed(DETECTOR, tta=True)
