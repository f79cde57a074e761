"""Cascade Mask R-CNN with FPN on the plain ViT-B of iBOT, COCO, 1x: 12 epochs at 480 to 800 px.

paper: arXiv 2111.07832, numbers as in the release, evaluation/object_detection   batch 16
reported box AP, mask AP: 51.2, 44.2 (iBOT; README of the release)
reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/cascade-mask-rcnn_vit-b_ibot-pre_1x_coco.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Four blocks' maps, resampled to strides 4 to 32; a checkpoint keeps the positions that it has.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = [
    '../../_base_/models/cascade-mask-rcnn_fpn.py',
    '../../_base_/datasets/coco_480-800px.py',
    '../../_base_/detection_1x.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmdet'
protocol = dict(
    name='cascade-mask-rcnn-vit-b-ibot-1x', version='1', task='detection', tier='full',
    family='vit', arch='base',
    framework='Cascade Mask R-CNN 1x (12e) multi-scale 480-800/1333, mmdet (iBOT codebase)')

width = 768

sync_bn = 'torch'  # pyramid and box heads; on one process the same as plain batch norm
model = dict(
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=(672, 1088), patch_size=16,
        out_indices=(3, 5, 7, 11), final_norm=False, drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=[
        dict(
            type='mim_backbones.BlockPyramid',
            in_channels=width, patch_size=16, strides=(4, 8, 16, 32)),
        dict(type='FPN', in_channels=[width] * 4, out_channels=256, num_outs=5),
    ])
optim_wrapper = dict(
    # As published, where cls_token and positions, meant to be exempt, are compared without prefix.
    paramwise_cfg=dict(layer_decay=0.75, decayed=['cls_token', 'pos_embed']))
