"""SimMIM, Swin-L, 800 epochs, ImageNet-1K, 192 px, windows of 12.

The last map has 6 x 6 tokens: its windows shrink to 6, as released (mmpretrain pads it instead).
paper: arXiv 2111.09886, system comparison of Swin models; numbers as in the released recipe
batch 2048   reported fine-tune top-1: 85.4 at 224 px, windows of 14   reproduced here: not yet
tools/dist_train.sh configs/pretrain/simmim_swin-l_800e.py 16 --data DATA
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['simmim_swin-b_800e.py']

model = dict(backbone=dict(arch='large', window_size=12, small_maps='shrink'))
