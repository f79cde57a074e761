"""Mask R-CNN with FPN on the plain ViT-B of CAE, COCO, 1x: 12 epochs at 480 to 800 px.

paper: arXiv 2202.03026, numbers as in the release, downstream_tasks/detection   batch 32
reported box AP, mask AP: 50.3, 44.2 (CAE, 1600 epochs), 49.9, 43.9 (800), 48.3, 42.7 (300),
    48.4, 42.6 (MAE); README of the release
reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/mask-rcnn_vit-b_cae-pre_1x_coco.py 16 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Four blocks' maps, resampled to strides 4 to 32; a checkpoint keeps the positions that it has.
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
    name='mask-rcnn-vit-b-cae-1x', version='1', task='detection', tier='full', family='vit',
    arch='base', framework='Mask R-CNN 1x (12e), mmdet (CAE codebase)')

width = 768

sync_bn = 'torch'  # pyramid and box head; on one process the same as plain batch norm
model = dict(
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=(672, 1088), patch_size=16,
        out_indices=(3, 5, 7, 11), final_norm=False,
        pos_embed='sincos-row-first', qkv_bias='qv', layer_scale=0.1, drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=[
        dict(
            type='mim_backbones.BlockPyramid',
            in_channels=width, patch_size=16, strides=(4, 8, 16, 32)),
        dict(type='FPN', in_channels=[width] * 4, out_channels=256, num_outs=5),
    ],
    roi_head=dict(
        bbox_head=dict(
            type='Shared4Conv1FCBBoxHead',
            conv_out_channels=256,
            norm_cfg=dict(type='BN'),
            reg_decoded_bbox=True,
            loss_bbox=dict(_delete_=True, type='GIoULoss', loss_weight=10.0))),
    train_cfg=dict(rpn_proposal=dict(max_per_img=2000)))
auto_scale_lr = dict(base_batch_size=32)
optim_wrapper = dict(
    optimizer=dict(lr=3e-4),
    # As published, where cls_token and positions, meant to be exempt, are compared without prefix.
    paramwise_cfg=dict(layer_decay=0.75, decayed=['cls_token', 'pos_embed']))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=501),
    dict(type='MultiStepLR', by_epoch=True, milestones=[9, 11], gamma=0.1)]
