"""Mask R-CNN ViTDet on a plain ViT-B, COCO, 1024 px with large-scale jitter, 100 epochs.

paper: arXiv 2203.16527, numbers as in detectron2's release, projects/ViTDet   batch 64
reported box AP, mask AP: 51.6, 45.9 (MAE, ImageNet-1K; README of the release)
reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/mask-rcnn-vitdet_vit-b_mae-pre_100e_coco.py 64 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Relative positions are decomposed and added at zero; those of a checkpoint are left out.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = [
    '../../_base_/models/mask-rcnn_vitdet.py',
    '../../_base_/datasets/coco_lsj_1024px.py',
    '../../_base_/vitdet_100e.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmdet'
protocol = dict(
    name='mask-rcnn-vitdet-b', version='1', task='detection', tier='full', family='vit',
    arch='base', framework='Mask R-CNN ViTDet 100e LSJ-1024, detectron2')
default_hooks = dict(
    logger=dict(interval=20, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=5000))
log_processor = dict(by_epoch=False)
