"""Cascade Mask R-CNN with FPN on Swin-L, COCO, 3x: 36 epochs at 480 to 800 px.

paper: arXiv 2103.14030, numbers as in its release for mmdet   batch 16
reported: none, the release has no Cascade Mask R-CNN 3x of this size; drop path is inferred
reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/cascade-mask-rcnn_swin-l_sup-pre_3x_coco.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['cascade-mask-rcnn_swin-t_sup-pre_3x_coco.py']
protocol = dict(name='cascade-mask-rcnn-swin-l-3x', arch='large')

model = dict(
    backbone=dict(arch='large', drop_path_rate=0.3),
    neck=dict(in_channels=[192, 384, 768, 1536]))
