"""MaskFeat, ViT-B/16, 1600 epochs, ImageNet-1K, 224 px.

paper: arXiv 2112.09133; target as in facebookresearch/SlowFast (no Gaussian window), the rest as in
the released recipe of open-mmlab/mmpretrain; batch and length of the first are unverified
batch 2048   reported fine-tune top-1: 84.0 (SlowFast)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/maskfeat.py 8 --data DATA
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['../_base_/pretrain_images.py', '../_base_/runtime.py']

model = dict(
    type='SimMIM',
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, patch_size=16,
        mask_token=True, drop_path_rate=0.0),
    target=dict(type='HOGTarget', cell=8, bins=9, window=None, exact=True),
    head=dict(type='PixelShuffleHead'),    # one linear layer: a position for each token
    loss='l2')

train_dataloader = dict(
    batch_size=256,
    dataset=dict(
        interpolation='bicubic', scale=(0.5, 1.0), flip=0.5,
        # Blocks only, up to 78 patches: the count differs from image to image.
        masker=dict(type='BlockwiseMasker', ratio=78 / 196, min_block=15, exact=False)))

# The rate is that of the full batch; the Runner scales it by (real batch) / 2048.
auto_scale_lr = dict(enable=True, base_batch_size=2048)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    clip_grad=dict(max_norm=0.02),
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=2e-4 * 2048 / 256, betas=(0.9, 0.999), weight_decay=0.05),
    # As released: biases, one-dimensional weights and the mask token are exempt.
    paramwise_cfg=dict(decayed=['cls_token', 'pos_embed']))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', warmup=30, start_ratio=1e-6, min_ratio=1e-6 / 1.6e-3,
        convert_to_iter_based=True, peak_in_warmup=True)]  # the released curve
train_cfg = dict(max_epochs=1600)
default_hooks = dict(checkpoint=dict(interval=20))
