"""Cascade Mask R-CNN with FPN on Swin-T, COCO, 3x: 36 epochs at 480 to 800 px.

paper: arXiv 2103.14030, numbers as in its release for mmdet   batch 16
reported box AP, mask AP: 50.4, 43.7 (supervised, ImageNet-1K; README of the release)
reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/cascade-mask-rcnn_swin-t_sup-pre_3x_coco.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['cascade-mask-rcnn_swin-t_sup-pre_1x_coco.py']
protocol = dict(
    name='cascade-mask-rcnn-swin-t-3x',
    framework='Cascade Mask R-CNN 3x (36e) multi-scale 480-800/1333, mmdet (Swin codebase)')

model = dict(backbone=dict(drop_path_rate=0.2))

train_cfg = dict(max_epochs=36)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=501),
    dict(type='MultiStepLR', by_epoch=True, milestones=[27, 33], gamma=0.1)]
