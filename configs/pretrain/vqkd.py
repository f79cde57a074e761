"""VQ-KD, ViT-B/16 encoder, 3-layer decoder, CLIP teacher, 100 epochs, ImageNet-1K, 224 px.

paper: arXiv 2208.06366, section 2.1; numbers as in the released recipe
batch 512   reported codebook usage: 97 %   reproduced here: not yet
tools/dist_train.sh configs/pretrain/vqkd.py 8 --data DATA \
    --cfg-options model.target.teacher.checkpoint=clip_vit-b16.pth

The tokenizer of all released BEiT v2 models; with a 1-layer decoder: vqkd_dec1_*.py.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['../_base_/pretrain_images.py', '../_base_/runtime.py']

model = dict(
    type='VQKD',
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, patch_size=16,
        pos_embed='learned', qkv_bias='qv', final_norm=False, fc_norm=True),
    codebook=dict(
        codes=8192, dim=32, decay=0.99, beta=1.0, kmeans_start=True,
        reseed_after=None),    # as published; a number of steps revives dead codes
    decoder=dict(arch=dict(embed_dim=768, depth=3, num_heads=12)),
    target=dict(type='FeatureTarget', teacher=dict(type='CLIPTeacher', checkpoint=None)))

train_dataloader = dict(
    batch_size=64,
    dataset=dict(scale=(0.08, 1.0), interpolation='bicubic'))

# 5e-5 for every 128 images of the full batch, as released: the rate follows another batch. Not
# micro-batches: the codebook's moving averages take one step for each.
auto_scale_lr = dict(enable=True, base_batch_size=512)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    # No decay for biases, norms, CLS tokens and positions of encoder and decoder.
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(
        type='AdamW', lr=5e-5 * 512 / 128, betas=(0.9, 0.99), eps=1e-8, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', warmup=10, min_ratio=1e-5 / 2e-4,
        convert_to_iter_based=True, peak_in_warmup=True)]  # the released curve
train_cfg = dict(max_epochs=100)
default_hooks = dict(checkpoint=dict(interval=10))
custom_hooks = [
    dict(type='SkippedImages', limit=0.01),
    dict(type='BindData'),
    dict(type='MethodRecord'),
    dict(type='CodebookHealthHook', interval=50)]
