"""Cascade Mask R-CNN with FPN on Hiera-B, COCO, 1x: 12 epochs at 480 to 800 px.

Hiera: arXiv 2306.00989, whose detection recipe is not released   batch 16
Inferred: data, heads and schedule are those of Swin-T 1x, drop path by size as of Swins.
reported: none   reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/cascade-mask-rcnn_hiera-b_mae-pre_1x_coco.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
"""
_base_ = ['cascade-mask-rcnn_hiera-t_mae-pre_1x_coco.py']
protocol = dict(name='cascade-mask-rcnn-hiera-b-1x', arch='base')

model = dict(
    backbone=dict(arch='base', drop_path_rate=0.2),
    neck=dict(in_channels=[96, 192, 384, 768]))
