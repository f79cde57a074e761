"""MaskFeat, ViT-L/16, 1600 epochs, ImageNet-1K, 224 px.

paper: arXiv 2112.09133; target as in facebookresearch/SlowFast, the rest as ViT-B's: unverified
batch 2048   reported fine-tune top-1: 85.7 (SlowFast)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/maskfeat_vit-l_1600e.py 16 --data DATA
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['maskfeat.py']
model = dict(backbone=dict(arch='large'))
train_dataloader = dict(batch_size=128)
