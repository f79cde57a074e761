"""SimMIM, ViT-B/16, 800 epochs, ImageNet-1K, 224 px.

paper: arXiv 2111.09886, Table 6   batch 2048   reported fine-tune top-1: 83.8   reproduced here: not yet
tools/dist_train.sh configs/pretrain/simmim.py 8
"""
_base_ = ['../_base_/pretrain_images.py', '../_base_/runtime.py']

img_size = 224
patch_size = 16
epochs = 800

model = dict(
    type='SimMIM',
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=img_size, patch_size=patch_size,
        pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', layer_scale=0.1,
        mask_token=True, drop_path_rate=0.1),
    target=dict(type='PixelTarget'),
    head=dict(type='PixelShuffleHead', in_dim=768, stride=patch_size))

train_dataloader = dict(
    batch_size=128,
    dataset=dict(
        img_size=img_size, scale=(0.67, 1.0),
        masker=dict(
            type='RandomPatchMasker', img_size=img_size, patch_size=patch_size,
            unit_px=32, ratio=0.6)))

# The rate is that of the full batch; the Runner scales it by (real batch) / 2048.
auto_scale_lr = dict(enable=True, base_batch_size=2048)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    clip_grad=dict(max_norm=5.0),
    optimizer=dict(type='AdamW', lr=1e-4 * 2048 / 512, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=5e-7 / 1e-4, begin=0, end=10, convert_to_iter_based=True),
    dict(type='MultiStepLR', milestones=[700], gamma=0.1)]
train_cfg = dict(max_epochs=epochs)
default_hooks = dict(checkpoint=dict(interval=20))
