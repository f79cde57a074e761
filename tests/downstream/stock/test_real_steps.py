"""Twenty stock configs with our backbones take a step and validate, on pictures.

Only sizes of models change, not what happens to pictures: a detector's are 800 px high here too.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from downstream.stock.swap import Family, swapped
from downstream.stock.trial import config_roots, stock_slot, swapped_config
from mim_backbones.training.train import train

# With enough stages for whatever reads them; as wide as attention heads want.
SMALL = {
    'vit': Family('vit', {'embed_dim': 32, 'depth': 4, 'num_heads': 2}),
    'swin': Family('swin', {'embed_dim': 24, 'depths': (1, 1, 1, 1), 'num_heads': (1, 2, 4, 8)}),
    'hiera': Family('hiera', {'embed_dim': 24, 'depths': (1, 1, 1, 1), 'num_heads': 1}),
}
SAMPLE = [
    ('mmdet', 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco', 'vit'),
    ('mmdet', 'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco', 'swin'),
    ('mmdet', 'retinanet/retinanet_r50_fpn_1x_coco', 'hiera'),
    ('mmdet', 'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco', 'vit'),
    ('mmdet', 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco', 'hiera'),
    ('mmdet', 'atss/atss_r50_fpn_1x_coco', 'swin'),
    ('mmdet', 'detr/detr_r50_8xb2-150e_coco', 'vit'),
    ('mmdet', 'deformable_detr/deformable-detr_r50_16xb2-50e_coco', 'hiera'),
    ('mmdet', 'dino/dino-4scale_r50_8xb2-12e_coco', 'vit'),
    ('mmdet', 'mask2former/mask2former_r50_8xb2-lsj-50e_coco', 'swin'),
    ('mmseg', 'upernet/upernet_r50_4xb4-160k_ade20k-512x512', 'vit'),
    (
        'mmseg',
        'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512',
        'hiera',
    ),
    ('mmseg', 'vit/vit_vit-b16_mln_upernet_8xb2-80k_ade20k-512x512', 'vit'),
    ('mmseg', 'sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512', 'vit'),
    ('mmseg', 'pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512', 'swin'),
    ('mmseg', 'deeplabv3plus/deeplabv3plus_r50-d8_4xb4-80k_ade20k-512x512', 'hiera'),
    ('mmseg', 'fcn/fcn_r50-d8_4xb4-80k_ade20k-512x512', 'swin'),
    ('mmseg', 'segmenter/segmenter_vit-s_mask_8xb1-160k_ade20k-512x512', 'vit'),
    ('mmseg', 'segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512', 'hiera'),
    ('mmseg', 'mask2former/mask2former_r50_8xb2-160k_ade20k-512x512', 'vit'),
]


# Widths of necks and heads, an eighth of them here.
WIDTHS = {
    'in_channels', 'out_channels', 'feat_channels', 'conv_out_channels', 'fc_out_channels',
    'channels', 'embed_dims', 'num_feats', 'feedforward_channels', 'c1_channels',
}  # fmt: skip
LARGE = {128, 256, 512, 1024, 2048}


def narrow(node: Any) -> None:
    """Divides the widths of a model by 8, in place."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if key in WIDTHS and isinstance(value, list):
            node[key] = [width // 8 if width in LARGE else width for width in value]
        elif key in WIDTHS and value in LARGE:
            node[key] = value // 8
        elif isinstance(value, dict | list):
            narrow(value)


def one_step(cfg: Config, package: str, world: Path, folder: Path) -> None:
    """One step and one validation on the synthetic world, laid out as COCO and ADE20K are."""
    loop = {'type': 'IterBasedTrainLoop', 'max_iters': 1, 'val_interval': 1}
    cfg.merge_from_dict({'train_cfg': {'_delete_': True, **loop}, 'log_processor.by_epoch': False})
    cfg.param_scheduler = cfg.auto_scale_lr = cfg.default_hooks.checkpoint = None
    root = world / 'coco' if package == 'mmdet' else world / 'ade' / 'ADEChallengeData2016'
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = f'{root}/'
        loader.dataset.indices = 2
    cfg.train_dataloader.batch_size = 2
    if package == 'mmdet':
        for split, loader in (('train', cfg.train_dataloader), ('val', cfg.val_dataloader)):
            loader.dataset.ann_file = str(with_80_classes(root, split, folder))
        cfg.val_evaluator.ann_file = cfg.val_dataloader.dataset.ann_file


def with_80_classes(root: Path, split: str, folder: Path) -> Path:
    """The world's annotations under COCO's class names, which stock heads are made for."""
    from mmdet.datasets import CocoDataset

    content = json.loads((root / f'annotations/instances_{split}2017.json').read_text())
    names = CocoDataset.METAINFO['classes']
    content['categories'] = [{'id': i, 'name': name} for i, name in enumerate(names, 1)]
    file = folder / f'{split}.json'
    file.write_text(json.dumps(content))
    return file


def step_and_validate(
    package: str, name: str, family: Family, world: Path, folder: Path
) -> list[dict[str, float]]:
    """What a run of the swapped config logs; what is run was dumped, as mmengine does."""
    file = config_roots()[package] / f'{name}.py'
    stock, maps = stock_slot(file)
    cfg = swapped_config(swapped(file, stock, family, maps))
    if 'decoder' in cfg.model:  # heads of query detectors are 256 wide by default
        cfg.model.encoder.num_layers = 1
    else:
        narrow({key: part for key, part in cfg.model.items() if key != 'backbone'})
    one_step(cfg, package, world, folder)
    cfg.visualizer.name = folder.name  # a visualizer of one name is made once in a process
    cfg.dump(folder / 'small.py')
    train(str(folder / 'small.py'), work_dir=str(folder / 'run'))
    (log,) = (folder / 'run').glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(('package', 'name', 'family'), SAMPLE, ids=[row[1] for row in SAMPLE])
def test_a_stock_config_steps_and_validates(
    package: str, name: str, family: str, world: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    rows = step_and_validate(package, name, SMALL[family], world, tmp_path)
    # A detector that finds nothing yet has no AP; what validation took is logged all the same.
    assert ['loss' in row for row in rows] == [True, False]
