"""Mask R-CNN with FPN on Swin-S, COCO, 3x: 36 epochs at 480 to 800 px.

paper: arXiv 2103.14030, numbers as in its release for mmdet   batch 16
reported box AP, mask AP: 48.5, 43.3 (supervised, ImageNet-1K; README of the release)
reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/mask-rcnn_swin-s_sup-pre_3x_coco.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['mask-rcnn_swin-t_sup-pre_3x_coco.py']
protocol = dict(name='mask-rcnn-swin-s-3x', arch='small')

model = dict(
    backbone=dict(arch='small', drop_path_rate=0.2),
    neck=dict(in_channels=[96, 192, 384, 768]))
