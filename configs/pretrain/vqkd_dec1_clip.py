"""VQ-KD with a 1-layer decoder: it rebuilds less, and uses every code.

reported codebook usage: 100 %   reproduced here: not yet
tools/dist_train.sh configs/pretrain/vqkd_dec1_clip.py 8 --data DATA \
    --cfg-options model.target.teacher.checkpoint=clip_vit-b16.pth
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['vqkd.py']

model = dict(decoder=dict(arch=dict(depth=1)))
