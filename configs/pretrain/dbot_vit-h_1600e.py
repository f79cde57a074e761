"""dBOT, ViT-H/14, two stages of 800 epochs, ImageNet-1K, 224 px; the first teacher has no blocks.

numbers as in the released command (liuxingbin/dbot)
batch 4096   reported fine-tune top-1: 87.4   reproduced here: not yet
tools/dist_train.sh configs/pretrain/dbot_vit-h_1600e.py 32 --data DATA
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['dbot_vit-b_1600e.py']
model = dict(
    backbone=dict(arch='huge', patch_size=14, drop_path_rate=0.3),
    target=dict(first_depth=0),
    decoder=dict(drop_path_rate=0.3))
optim_wrapper = dict(clip_grad=None)
