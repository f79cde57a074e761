"""MoCo v3 of MAE-Lite's study, ViT-Ti/16 with 12 heads, 400 epochs, ImageNet-1K, 224 px.

paper: arXiv 2205.14443, 2404.12210; numbers as in the released recipe (wangsr126/MAE-Lite)
batch 1024   reported fine-tune top-1: 76.8 (300 epochs)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/mocov3-lite_vit-ti_400e.py 8 --data DATA
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['mocov3.py']
model = dict(backbone=dict(arch='tiny-h12'), frozen_patches=False)
train_dataloader = dict(batch_size=128)
auto_scale_lr = dict(base_batch_size=1024)
optim_wrapper = dict(optimizer=dict(lr=1.5e-4 * 1024 / 256))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', warmup=40, start_ratio=1e-6 / 6e-4,
        convert_to_iter_based=True)]
train_cfg = dict(max_epochs=400)
