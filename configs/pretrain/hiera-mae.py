"""Hiera MAE, Hiera-B, 1600 epochs, ImageNet-1K, 224 px.

paper: arXiv 2306.00989; backbone, mask units, ratio, decoder, target and loss as released in
facebookresearch/hiera. The code that trained it is not released: optimizer, rate, batch, warm-up and
epochs are the paper's appendix as remembered, not checked against its text; crops and their sizes
are MAE's. The models are released without drop path; the paper tries some (drop_path_rate).
batch 4096   reported fine-tune top-1: 84.5 (released model)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/hiera-mae.py 64 --data DATA
"""
_base_ = ['../_base_/pretrain_images.py', '../_base_/runtime.py']

model = dict(
    type='HieraMAE',
    backbone=dict(
        type='mim_backbones.MIMHiera', arch='base', img_size=224, q_pool=2, drop_path_rate=0.0),
    target=dict(type='PatchTarget', norm_pix=True, channels='first'),
    decoder=dict(
        type='MAEDecoder', pos_embed='learned', embed_dim=512, depth=8, num_heads=16))

train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        scale=(0.2, 1.0), interpolation='bicubic',
        masker=dict(type='RandomPatchMasker', unit_px=None, ratio=0.6)))

# The rate is that of the full batch; the Runner scales it by (real batch) / 4096.
auto_scale_lr = dict(enable=True, base_batch_size=4096)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=8e-4, betas=(0.9, 0.95), weight_decay=0.05))
param_scheduler = [
    dict(type='mim_backbones.WarmupCosineLR', warmup=40, convert_to_iter_based=True)]
train_cfg = dict(max_epochs=1600)
default_hooks = dict(checkpoint=dict(interval=20))
