"""VQ-KD with a 1-layer decoder and DINO's features, 768 wide, in place of CLIP's.

reported codebook usage: 100 %   reproduced here: not yet
tools/dist_train.sh configs/pretrain/vqkd_dec1_dino.py 8 --data DATA \
    --cfg-options model.target.teacher.checkpoint=dino_vitbase16_pretrain.pth
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['vqkd_dec1_clip.py']

model = dict(target=dict(teacher=dict(_delete_=True, type='DINOTeacher', checkpoint=None)))
