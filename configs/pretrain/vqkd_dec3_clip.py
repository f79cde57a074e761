"""VQ-KD with a 3-layer decoder: the tokenizer of all released BEiT v2 models.

reported codebook usage: 97 %   reproduced here: not yet
tools/dist_train.sh configs/pretrain/vqkd_dec3_clip.py 8 --data DATA \
    --cfg-options model.target.teacher.checkpoint=clip_vit-b16.pth
"""
_base_ = ['vqkd.py']

model = dict(decoder=dict(arch=dict(depth=3)))
