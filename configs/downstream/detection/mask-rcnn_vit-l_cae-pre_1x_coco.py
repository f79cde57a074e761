"""Mask R-CNN with FPN on the plain ViT-L of CAE, COCO, 1x: 12 epochs at 480 to 800 px.

paper: arXiv 2202.03026, numbers as in the release, downstream_tasks/detection   batch 32
reported box AP, mask AP: 54.5, 47.5 (CAE, 1600 epochs), 54.0, 47.1 (MAE); README of the release
reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/mask-rcnn_vit-l_cae-pre_1x_coco.py 16 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['mask-rcnn_vit-b_cae-pre_1x_coco.py']
protocol = dict(name='mask-rcnn-vit-l-cae-1x', arch='large')

width = 1024

model = dict(
    backbone=dict(arch='large', out_indices=(7, 11, 15, 23), layer_scale=1e-5),
    neck=[
        dict(
            type='mim_backbones.BlockPyramid',
            in_channels=width, patch_size=16, strides=(4, 8, 16, 32)),
        dict(type='FPN', in_channels=[width] * 4, out_channels=256, num_outs=5),
    ])
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(layer_decay=0.85))
