"""Mask R-CNN with FPN on Hiera-B+, COCO, 3x: 36 epochs at 480 to 800 px.

Hiera: arXiv 2306.00989, whose detection recipe is not released   batch 16
Inferred: data, heads and schedule are those of Swin-T 3x, drop path by size as of Swins.
reported: none   reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/mask-rcnn_hiera-bp_mae-pre_3x_coco.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
"""
_base_ = ['mask-rcnn_hiera-t_mae-pre_3x_coco.py']
protocol = dict(name='mask-rcnn-hiera-bp-3x', arch='base-plus')

model = dict(
    backbone=dict(arch='base-plus', drop_path_rate=0.3),
    neck=dict(in_channels=[112, 224, 448, 896]))
