"""Feature Distillation, ViT-B/16, DINO ViT-B/16 as teacher, 300 epochs, ImageNet-1K, 224 px.

paper: arXiv 2205.14141; numbers as in the released recipe (SwinTransformer/Feature-Distillation)
batch 2048   reported fine-tune top-1: 83.8   reproduced here: not yet
tools/dist_train.sh configs/pretrain/fd_dino_vit-b_300e.py 16 --data DATA \
    --cfg-options model.target.teacher.checkpoint=dino_vitbase16_pretrain.pth
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['fd_clip_vit-b_300e.py']

model = dict(
    backbone=dict(drop_path_rate=0.3),
    target=dict(teacher=dict(_delete_=True, type='DINOTeacher', checkpoint=None)))
