"""Fine-tuning of a plain ViT on folders of classes, 64 px, a minute or two on one core: ranks nothing.

    mean of the patch tokens -> norm -> linear layer; CutMix, Mixup and RandAugment left out

python tools/train.py configs/downstream/classification/classifier_vit_smoke_in1k.py \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
`mimbench eval CKPT --tasks classification --tier smoke` fits backbone, classes and root to what it gets.
"""
_base_ = [
    '../../_base_/models/classifier.py',
    '../../_base_/datasets/imagenet_224px.py',
    '../../_base_/finetune_smoke.py',
    '../../_base_/runtime.py',
]
default_scope = 'downstream'
protocol = dict(
    name='classifier-vit-smoke', version='1', task='classification', tier='smoke', family='vit')

size = 64
model = dict(
    head_std=0.02,
    data_preprocessor=dict(erase=0.0, mixup=0.0, cutmix=0.0, smoothing=0.1),
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=192, depth=6, num_heads=3),
        img_size=size, patch_size=8, final_norm=False, fc_norm=True, drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)))

# Decoding and cropping cost a core as much as the step.
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(
    batch_size=32, **loader,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(view=dict(img_size=size, scale=(0.2, 1.0), rand_augment='')))
val_dataloader = dict(**loader, dataset=dict(view=dict(img_size=size)))
test_dataloader = val_dataloader

iterations = 300
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=15),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.01, by_epoch=False, begin=15, end=iterations)]
train_cfg = dict(max_iters=iterations, val_interval=iterations)
default_hooks = dict(
    logger=dict(interval=10, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=iterations))
log_processor = dict(by_epoch=False)
