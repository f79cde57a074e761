"""Mask R-CNN ViTDet on a plain ViT-L, COCO, 1024 px with large-scale jitter, 100 epochs.

paper: arXiv 2203.16527, numbers as in detectron2's release, projects/ViTDet   batch 64
reported box AP, mask AP: 55.5, 49.2 (MAE, ImageNet-1K; README of the release)
reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/mask-rcnn-vitdet_vit-l_mae-pre_100e_coco.py 64 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['mask-rcnn-vitdet_vit-b_mae-pre_100e_coco.py']
protocol = dict(name='mask-rcnn-vitdet-l', arch='large')

model = dict(
    backbone=dict(arch='large', global_blocks=(5, 11, 17, 23), drop_path_rate=0.4),
    neck=dict(in_channels=1024))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.8))
