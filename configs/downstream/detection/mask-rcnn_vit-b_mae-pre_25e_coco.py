"""Mask R-CNN with FPN on a plain ViT-B, COCO, 1024 px with large-scale jitter, 25 epochs.

paper: arXiv 2111.11429, not released; numbers as in the re-run of hustvl/MIMDet   batch 64
reported box AP, mask AP: 48.0, 43.0 (MAE; README of the re-run)   reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/mask-rcnn_vit-b_mae-pre_25e_coco.py 64 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['mask-rcnn_vit-b_mae-pre_100e_coco.py']
protocol = dict(
    name='mask-rcnn-vit-b-25e',
    framework='Mask R-CNN + FPN plain-ViT benchmark recipe 25e LSJ-1024')

iterations = 184375 // 4
warm_up = 184375 // 400
train_cfg = dict(max_iters=iterations)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=warm_up + 1),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=0, end=iterations)]
