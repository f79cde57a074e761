"""Mask R-CNN on a plain ViT, COCO-style data, about a minute on one core: ranks nothing.

    ViT, windowed and global blocks -> strides 8, 16, 32 -> RPN -> boxes and masks
    plain-ViT detection: ViTDet, arXiv 2203.16527, section 3

python tools/train.py configs/downstream/detection/mask-rcnn_vit_smoke_coco.py \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
`mimbench eval CKPT --tasks detection --tier smoke` fits backbone, classes and roots to what it gets.
Windows are 64 px; a checkpoint with relative positions or registers attends globally instead.
"""
_base_ = [
    '../../_base_/models/mask-rcnn.py',
    '../../_base_/datasets/coco_128px.py',
    '../../_base_/finetune_smoke.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmdet'
protocol = dict(
    name='mask-rcnn-vit-smoke', version='1', task='detection', tier='smoke', family='vit')

model = dict(
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=192, depth=6, num_heads=3),
        img_size=128, patch_size=8, cls_token=False, window_size=8, global_blocks=(2, 5),
        drop_path_rate=0.0, init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(
        type='mim_backbones.SimpleFeaturePyramid',
        in_channels=192, out_channels=64, patch_size=8, strides=[8, 16, 32]))
default_hooks = dict(
    logger=dict(interval=10, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval={{_base_.iterations}}))
log_processor = dict(by_epoch=False)
