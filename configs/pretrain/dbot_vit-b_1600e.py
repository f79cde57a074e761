"""dBOT, ViT-B/16, two stages of 800 epochs, ImageNet-1K, 224 px.

paper: arXiv 2209.03917; numbers as in the released command (liuxingbin/dbot)
batch 4096   reported fine-tune top-1: 84.5   reproduced here: not yet
tools/dist_train.sh configs/pretrain/dbot_vit-b_1600e.py 32 --data DATA
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['../_base_/pretrain_images.py', '../_base_/runtime.py']

stages = [800, 800]    # epochs; each has its own warm-up and cosine below

model = dict(
    type='DBOT',
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, patch_size=16,
        pos_embed='sincos', drop_path_rate=0.2),
    target=dict(type='BootstrapTarget', stages=stages, norm='layer', final_norm=False),
    decoder=dict(type='MAEDecoder', embed_dim=512, depth=8, num_heads=16, drop_path_rate=0.2),
    beta=2.0)

train_dataloader = dict(
    batch_size=128,
    dataset=dict(
        scale=(0.2, 1.0), interpolation='bicubic',
        masker=dict(type='RandomPatchMasker', unit_px=None, ratio=0.75)))

# The rate is that of the full batch; the Runner scales it by (real batch) / 4096.
auto_scale_lr = dict(enable=True, base_batch_size=4096)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    clip_grad=dict(max_norm=3.0),
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=1.5e-4 * 4096 / 256, betas=(0.9, 0.95), weight_decay=0.05),
    # As released: biases and one-dimensional weights are exempt, tokens are not.
    paramwise_cfg=dict(decayed=['cls_token']))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', warmup=40, begin=begin, end=begin + 800,
        convert_to_iter_based=True)
    for begin in (0, 800)]
train_cfg = dict(max_epochs=1600)
default_hooks = dict(checkpoint=dict(interval=20))
