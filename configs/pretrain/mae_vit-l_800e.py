"""MAE, ViT-L/16, 800 epochs, ImageNet-1K, 224 px: the setting of the paper's ablations.

batch 4096   reported fine-tune top-1: 85.4 (paper), 85.4 (mmpretrain)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/mae_vit-l_800e.py 64 --data DATA
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['mae.py']
model = dict(backbone=dict(arch='large'))
