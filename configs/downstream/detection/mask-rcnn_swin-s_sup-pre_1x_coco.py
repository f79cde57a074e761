"""Mask R-CNN with FPN on Swin-S, COCO, 1x: 12 epochs at 480 to 800 px.

paper: arXiv 2103.14030, numbers as in its release for mmdet   batch 16
reported: none, the release has no Mask R-CNN 1x of this size; drop path is inferred
reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/mask-rcnn_swin-s_sup-pre_1x_coco.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['mask-rcnn_swin-t_sup-pre_1x_coco.py']
protocol = dict(name='mask-rcnn-swin-s-1x', arch='small')

model = dict(
    backbone=dict(arch='small', drop_path_rate=0.2),
    neck=dict(in_channels=[96, 192, 384, 768]))
