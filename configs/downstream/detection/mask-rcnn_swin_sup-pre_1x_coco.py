"""Mask R-CNN with FPN on a Swin, COCO, 1x: 12 epochs at 480 to 800 px.

paper: arXiv 2103.14030, numbers as in its release for mmdet   batch 16
reported box AP, mask AP: Swin-T 43.7, 39.8
(supervised, ImageNet-1K; README of the release; drop path of other sizes is inferred)
reproduced here: not yet
mimbench eval CKPT --protocol mask-rcnn-swin-1x --data DATA --out results    (Swin-T to L)
tools/dist_train.sh configs/downstream/detection/mask-rcnn_swin_sup-pre_1x_coco.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = [
    '../../_base_/models/mask-rcnn_fpn.py',
    '../../_base_/datasets/coco_480-800px.py',
    '../../_base_/detection_1x.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmdet'
protocol = dict(
    name='mask-rcnn-swin-1x', version='1', task='detection', tier='full', family='swin',
    by_arch={
        'tiny': {},
        'small': {'model.backbone.drop_path_rate': 0.2},
        'base': {'model.backbone.drop_path_rate': 0.3},
        'large': {'model.backbone.drop_path_rate': 0.3}},
    framework='Mask R-CNN 1x (12e) multi-scale 480-800/1333, mmdet (Swin codebase)')

model = dict(
    backbone=dict(
        type='mim_backbones.MIMSwin', arch='tiny', img_size=224, window_size=7,
        out_indices=(0, 1, 2, 3), drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(in_channels=[96, 192, 384, 768]))
# Spared are norms and positions; biases are decayed.
optim_wrapper = dict(
    paramwise_cfg=dict(
        exempt=[
            'norm', 'norm0', 'norm1', 'norm2', 'norm3', 'absolute_pos_embed',
            'relative_position_bias_table']))
