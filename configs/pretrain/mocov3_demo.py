"""MoCo v3 at the size of the demo: a small ViT on a few thousand 128 px images, minutes on a core.

Not a published recipe: it shows the whole path, its numbers compare with nothing in a paper.
tools/train.py configs/pretrain/mocov3_demo.py --data DATA
"""
_base_ = ['../_base_/pretrain_images.py', '../_base_/runtime.py']

batch_size = 96
samples_per_epoch = 4800    # 50 steps, whatever the number of images

model = dict(
    type='MoCoV3',
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=128, depth=6, num_heads=4),
        img_size=64, patch_size=8, pos_embed='sincos-row-first'),
    hidden_dim=512, out_dim=64, temperature=0.2, momentum=0.99, frozen_patches=True)

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=1,
    sampler=dict(samples_per_epoch=samples_per_epoch),
    dataset=dict(type='TwoViews', scale=(0.2, 1.0)))

auto_scale_lr = dict(enable=True, base_batch_size=batch_size)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.1))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', warmup=1, start_ratio=0.01, min_ratio=0.01,
        convert_to_iter_based=True)]
train_cfg = dict(max_epochs=10)
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=5, max_keep_ckpts=1))
