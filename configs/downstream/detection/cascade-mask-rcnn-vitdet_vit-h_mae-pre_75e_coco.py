"""Cascade Mask R-CNN ViTDet on a plain ViT-H, COCO, 1024 px with large-scale jitter, 75 epochs.

paper: arXiv 2203.16527, numbers as in detectron2's release, projects/ViTDet   batch 64
reported box AP, mask AP: 58.7, 51.0 (MAE, ImageNet-1K; README of the release)
reproduced here: not yet
tools/dist_train.sh \
    configs/downstream/detection/cascade-mask-rcnn-vitdet_vit-h_mae-pre_75e_coco.py 64 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Patches of 16 px: MAE's, of 14 px, are first resized (its mae_pretrain_vit_huge_p14to16.pth).
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['cascade-mask-rcnn-vitdet_vit-b_mae-pre_100e_coco.py']
protocol = dict(
    name='cascade-mask-rcnn-vitdet-h', arch='huge',
    framework='Cascade Mask R-CNN ViTDet 75e LSJ-1024, detectron2')

model = dict(
    backbone=dict(arch='huge', global_blocks=(7, 15, 23, 31), drop_path_rate=0.5),
    neck=dict(in_channels=1280))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.9, exempt=[]))  # everything is decayed

iterations = 184375 * 3 // 4
train_cfg = dict(max_iters=iterations)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=251),
    dict(
        type='MultiStepLR', by_epoch=False,
        milestones=[163889 * 3 // 4, 177546 * 3 // 4], gamma=0.1)]
