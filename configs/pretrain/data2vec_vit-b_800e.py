"""data2vec, ViT-B/16, 800 epochs, ImageNet-1K, 224 px.

paper: arXiv 2202.03555; numbers as in the released command (facebookresearch/data2vec_vision)
batch 2048   reported fine-tune top-1: 84.2 (ConvMAE's table)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/data2vec_vit-b_800e.py 16 --data DATA
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['../_base_/pretrain_images.py', '../_base_/runtime.py']

model = dict(
    type='Data2Vec',
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, patch_size=16,
        pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', layer_scale=1e-4,
        mask_token=True, drop_path_rate=0.25, attn_drop_rate=0.05),
    target=dict(
        type='EMABlocks', blocks=6, readout='end',
        block_norms=['layer'], norms=['layer'],    # as released; see targets/ema_blocks.py
        decay=0.9998, anneal_steps=0, precision='same'),
    loss='smooth_l1', beta=2.0)

train_dataloader = dict(
    batch_size=128,
    dataset=dict(
        interpolation='bicubic', scale=(0.08, 1.0), flip=0.5, jitter=0.4,
        # Blocks only, up to 120 patches: the count differs from image to image.
        masker=dict(type='BlockwiseMasker', ratio=120 / 196, min_block=16, exact=False)))

# 2048 images a step, on any number of processes that divides them: 128 at a time.
auto_scale_lr = dict(enable=False, base_batch_size=2048)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    clip_grad=dict(max_norm=3.0),
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    # As released: only cls_token, positions, biases and norms are exempt.
    paramwise_cfg=dict(decayed=['relative_position_bias_table', 'mask_token']))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', warmup=10, min_ratio=1e-5 / 2e-3,
        convert_to_iter_based=True, peak_in_warmup=True)]  # the released curve
train_cfg = dict(max_epochs=800)
default_hooks = dict(checkpoint=dict(interval=20))
