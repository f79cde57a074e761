"""Mask R-CNN ViTDet on MAE-Lite's ViT-Tiny of 12 heads, COCO, 640 px, 100 epochs.

paper: arXiv 2205.14443; numbers as in the release, projects/eval_tools/det   batch 64
reported box AP, mask AP: 39.9, 35.4 (MAE-Tiny, 400 epochs), 42.3, 37.3 (D-MAE-Tiny), 42.5, 37.5
    (D2-MAE-Tiny), 39.7, 35.1 (MoCo v3), 40.4, 35.5 (DeiT, supervised); DETECTION.md of the release
reproduced here: not yet
tools/dist_train.sh \
    configs/downstream/detection/mask-rcnn-vitdet_vit-ti_mae-lite-pre_100e_coco-640.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

ViTDet's heads, jitter and windows at 640 px; neither drop path nor layer decay.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['mask-rcnn-vitdet_vit-b_mae-pre_100e_coco.py']
protocol = dict(
    name='mask-rcnn-vitdet-ti-640', arch='tiny-h12',
    framework='Mask R-CNN ViTDet 100e LSJ-640, detectron2 (MAE-Lite codebase)')

side = 640
size = (side, side)
jitter = dict(
    type='downstream.LargeScaleJitter',
    size=size, ratio_range=(0.1, 2.0), flip=0.5, pad=False)
meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')

model = dict(
    data_preprocessor=dict(pad_size_divisor=side),
    backbone=dict(arch='tiny-h12', img_size=side, drop_path_rate=0.0),
    neck=dict(in_channels=192))
train_dataloader = dict(
    batch_size=8,
    dataset=dict(pipeline=[jitter, dict(type='PackDetInputs')]))
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=size, keep_ratio=True, backend='pillow'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='PackDetInputs', meta_keys=meta_keys),
        ]))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(weight_decay=0.05), paramwise_cfg=dict(layer_decay=1.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=251),
    dict(
        type='MultiStepLR', by_epoch=False,
        milestones=[184375 * 24 // 27, 184375 * 26 // 27], gamma=0.1)]
