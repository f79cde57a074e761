"""Cascade Mask R-CNN with FPN on a Swin, COCO, 3x: 36 epochs at 480 to 800 px.

paper: arXiv 2103.14030, numbers as in its release for mmdet   batch 16
reported box AP, mask AP: Swin-T 50.4, 43.7; Swin-S 51.9, 45.0; Swin-B 51.9, 45.0
(supervised, ImageNet-1K; README of the release; drop path of other sizes is inferred)
reproduced here: not yet
mimbench eval CKPT --protocol cascade-mask-rcnn-swin-3x --data DATA --out results    (Swin-T to L)
tools/dist_train.sh configs/downstream/detection/cascade-mask-rcnn_swin_sup-pre_3x_coco.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['cascade-mask-rcnn_swin_sup-pre_1x_coco.py']
protocol = dict(
    name='cascade-mask-rcnn-swin-3x',
    framework='Cascade Mask R-CNN 3x (36e) multi-scale 480-800/1333, mmdet (Swin codebase)')

model = dict(backbone=dict(drop_path_rate=0.2))

train_cfg = dict(max_epochs=36)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=501),
    dict(type='MultiStepLR', by_epoch=True, milestones=[27, 33], gamma=0.1)]
