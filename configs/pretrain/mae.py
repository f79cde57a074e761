"""MAE, ViT-B/16, 800 epochs, ImageNet-1K, 224 px.

paper: arXiv 2111.06377, Table 8; numbers as in the released recipe
batch 4096   reported fine-tune top-1: 83.6 after 1600 epochs, 83.3 after 800 (mmpretrain's re-run)
reproduced here: not yet
tools/dist_train.sh configs/pretrain/mae.py 64 --data DATA
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['../_base_/pretrain_images.py', '../_base_/runtime.py']

model = dict(
    type='MAE',
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, patch_size=16, pos_embed='sincos'),
    target=dict(type='PatchTarget', norm_pix=True),
    decoder=dict(type='MAEDecoder', embed_dim=512, depth=8, num_heads=16))

train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        scale=(0.2, 1.0), interpolation='bicubic',
        masker=dict(type='RandomPatchMasker', unit_px=None, ratio=0.75)))

# The rate is that of the full batch; the Runner scales it by (real batch) / 4096.
auto_scale_lr = dict(enable=True, base_batch_size=4096)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=1.5e-4 * 4096 / 256, betas=(0.9, 0.95), weight_decay=0.05),
    # As released: biases and one-dimensional weights are exempt, tokens are not.
    paramwise_cfg=dict(decayed=['cls_token']))
param_scheduler = [
    dict(type='mim_backbones.WarmupCosineLR', warmup=40, convert_to_iter_based=True)]
train_cfg = dict(max_epochs=800)
default_hooks = dict(checkpoint=dict(interval=20))
