"""Mask R-CNN with FPN on a plain ViT-B, COCO, 1024 px with large-scale jitter, 100 epochs.

paper: arXiv 2111.11429, not released; numbers as in the re-run of hustvl/MIMDet   batch 64
reported box AP, mask AP: 50.3, 44.9 (MAE; its paper), 50.4, 44.9 (MAE; re-run)
reproduced here: not yet
tools/dist_train.sh configs/downstream/detection/mask-rcnn_vit-b_mae-pre_100e_coco.py 64 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Four blocks' maps, resampled to strides 4 to 32, before ViTDet's simple pyramid was known.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = [
    '../../_base_/models/mask-rcnn_vitdet.py',
    '../../_base_/datasets/coco_lsj_1024px.py',
    '../../_base_/vitdet_100e.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmdet'
protocol = dict(
    name='mask-rcnn-vit-b-100e', version='1', task='detection', tier='full', family='vit',
    arch='base', framework='Mask R-CNN + FPN plain-ViT benchmark recipe 100e LSJ-1024')
default_hooks = dict(
    logger=dict(interval=20, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=5000))
log_processor = dict(by_epoch=False)

width = 768
norm = dict(_delete_=True, type='BN')

sync_bn = 'torch'  # pyramid and heads; on one process the same as plain batch norm
model = dict(
    backbone=dict(
        pos_embed_size=None,  # the table is resized once, to this recipe's pictures
        window_size=16, out_indices=(2, 5, 8, 11)),
    neck=[
        dict(
            type='mim_backbones.BlockPyramid',
            in_channels=width, patch_size=16, strides=(4, 8, 16, 32), norm='group'),
        dict(
            type='FPN',
            in_channels=[width] * 4, out_channels=256, num_outs=5, norm_cfg=dict(type='BN')),
    ],
    roi_head=dict(bbox_head=dict(norm_cfg=norm), mask_head=dict(norm_cfg=norm)))

optim_wrapper = dict(
    optimizer=dict(lr=8e-5),
    # Spared are norms, positions and relative tables; biases are decayed.
    paramwise_cfg=dict(
        layer_decay=1.0,
        exempt=['norm1', 'norm2', 'fpn1.1', 'bn', 'pos_embed', 'rel_pos_h', 'rel_pos_w']))
# A quarter of an epoch's warm-up into a cosine down to 0, both from the first iteration.
warm_up = 184375 // 400
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=warm_up + 1),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=0, end=184375)]
