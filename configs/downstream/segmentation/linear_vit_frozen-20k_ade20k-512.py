"""Linear probe of a frozen plain ViT, ADE20K, 512 px, 20k iterations of 16 views.

    last block, after its final norm where the checkpoint has one -> BatchNorm -> 1x1 convolution
    trained on 2 views of each picture, drawn by seed: scale 0.5 to 2, crop, flip
    scored in windows of 512 px, 341 px apart, at the labels' own resolution
    after DINOv2's linear evaluation, arXiv 2304.07193; compares with no published row
    meant for less than an hour on one GPU, not timed yet

python tools/train.py configs/downstream/segmentation/linear_vit_frozen-20k_ade20k-512.py \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

The views are fixed so that their features are computed once and kept on disk, up to
`model.cache_bytes` (0: nothing is kept) below `model.cache_folder`; that changes no number. Other
blocks: `model.backbone.out_indices=7,11 model.decode_head.in_channels=768,768`.
"""
_base_ = [
    '../../_base_/datasets/ade20k_512px.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmseg'
custom_imports = dict(imports=['downstream.frozen.segmentor', 'downstream.segmentation.probe.linear'])
protocol = dict(
    name='linear-vit-20k', version='1', task='segmentation', tier='proxy', family='vit')
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=5000))
log_processor = dict(by_epoch=False)
custom_hooks = [dict(type='downstream.KeepFeatures')]

size = (512, 512)
model = dict(
    type='downstream.FrozenSegmentor',
    cache_bytes=64 * 2**30,
    cache_folder=None,  # $XDG_CACHE_HOME/mimbench/features
    data_preprocessor=dict(
        type='downstream.PictureNormalizer',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=size,
        pad_val=0,
        seg_pad_val=255,
        test_cfg=None),
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=512, out_indices=(11,),
        drop_path_rate=0.0, init_cfg=dict(type='Pretrained', checkpoint=None)),
    decode_head=dict(
        type='downstream.LinearProbe',
        in_channels=[768], num_classes=150, norm='batch', dropout_ratio=0.1, ignore_index=255),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=size, stride=(341, 341)))

train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        _delete_=True,
        type='downstream.FixedViews',
        views=2,
        seed=0,
        dataset=dict(
            type={{_base_.dataset_type}},
            data_root={{_base_.data_root}},
            data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
            pipeline=[]),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='downstream.LoadLabels', num_classes=150),
            dict(
                type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
            dict(type='RandomCrop', crop_size=size, ignore_index=255),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackSegInputs'),
        ]))

iterations = 20000
auto_scale_lr = dict(enable=False, base_batch_size=16)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=1500, end=iterations)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
