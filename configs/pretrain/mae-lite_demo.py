"""MAE at the size of the demo, with MAE-Lite's light decoder: minutes on two cores.

Not a published recipe: it shows the whole path, its numbers compare with nothing in a paper.
tools/train.py configs/pretrain/mae-lite_demo.py --data DATA
"""
_base_ = ['../_base_/pretrain_images.py', '../_base_/runtime.py']

batch_size = 96
samples_per_epoch = 9600    # 100 steps, whatever the number of images

model = dict(
    type='MAE',
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=128, depth=6, num_heads=4),
        img_size=64, patch_size=8, pos_embed='sincos'),
    target=dict(type='PatchTarget'),
    decoder=dict(type='MAEDecoder', embed_dim=64, depth=1, num_heads=2))

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=1,
    sampler=dict(samples_per_epoch=samples_per_epoch),
    dataset=dict(
        # A quarter of the 128 px pictures, not resampled: textures and noise as the tasks see them.
        scale=(0.25, 0.25), ratio=(1.0, 1.0),
        masker=dict(type='RandomPatchMasker', unit_px=None, ratio=0.75)))

auto_scale_lr = dict(enable=True, base_batch_size=batch_size)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=1.5e-3, betas=(0.9, 0.95), weight_decay=0.05))
param_scheduler = [
    dict(type='mim_backbones.WarmupCosineLR', warmup=1, convert_to_iter_based=True)]
train_cfg = dict(max_epochs=10)
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=5, max_keep_ckpts=1))
