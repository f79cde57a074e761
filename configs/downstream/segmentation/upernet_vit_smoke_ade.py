"""UperNet on a plain ViT, ADE20K-style data, about two minutes on one core: ranks nothing.

    four ViT blocks -> strides 4, 8, 16, 32 -> UperNet
    pyramid from blocks: BEiT, arXiv 2106.08254, ADE20K set-up

python tools/train.py configs/downstream/segmentation/upernet_vit_smoke_ade.py \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
`mimbench eval CKPT --tasks segmentation --tier smoke` fits backbone, classes and roots to what it gets.
"""
_base_ = [
    '../../_base_/models/upernet.py',
    '../../_base_/datasets/ade_128px.py',
    '../../_base_/finetune_smoke.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmseg'
protocol = dict(
    name='upernet-vit-smoke', version='1', task='segmentation', tier='smoke', family='vit')

model = dict(
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=192, depth=6, num_heads=3),
        img_size=128, patch_size=8, out_indices=(0, 2, 3, 5), drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(
        type='mim_backbones.BlockPyramid',
        in_channels=192, patch_size=8, strides=(4, 8, 16, 32)))

# With 250 steps, enough for the detector, the start hardly shows yet: +0.4 mIoU against +1.9 (seed 1).
iterations = 400
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=15),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.01, by_epoch=False, begin=15, end=iterations)]
train_cfg = dict(max_iters=iterations, val_interval=iterations)
default_hooks = dict(
    logger=dict(interval=10, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=iterations))
log_processor = dict(by_epoch=False)
