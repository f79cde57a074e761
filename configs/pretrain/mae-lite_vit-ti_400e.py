"""MAE-Lite, ViT-Ti/16 with 12 heads, 400 epochs, ImageNet-1K, 224 px.

paper: arXiv 2205.14443, 2404.12210; numbers as in the released recipe (wangsr126/MAE-Lite)
batch 4096   reported fine-tune top-1: 78.0 (300 epochs)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/mae-lite_vit-ti_400e.py 8 --data DATA
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['mae.py']
model = dict(
    backbone=dict(arch='tiny-h12'), decoder=dict(embed_dim=96, depth=1, num_heads=3))
train_dataloader = dict(batch_size=512, dataset=dict(scale=(0.08, 1.0)))
train_cfg = dict(max_epochs=400)
