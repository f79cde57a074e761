"""Cascade Mask R-CNN with FPN on the plain ViT-S of iBOT, COCO, 1x: 12 epochs at 480 to 800 px.

paper: arXiv 2111.07832, numbers as in the release, evaluation/object_detection   batch 32
reported: none in the README of the release   reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/cascade-mask-rcnn_vit-s_ibot-pre_1x_coco.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['cascade-mask-rcnn_vit-b_ibot-pre_1x_coco.py']
protocol = dict(name='cascade-mask-rcnn-vit-s-ibot-1x', arch='small')

width = 384

model = dict(
    backbone=dict(arch='small', drop_path_rate=0.1),
    neck=[
        dict(
            type='mim_backbones.BlockPyramid',
            in_channels=width, patch_size=16, strides=(4, 8, 16, 32)),
        dict(type='FPN', in_channels=[width] * 4, out_channels=256, num_outs=5),
    ])
train_dataloader = dict(batch_size=4)
auto_scale_lr = dict(base_batch_size=32)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.8))
