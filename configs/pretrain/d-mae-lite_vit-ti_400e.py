"""D-MAE-Lite, ViT-Ti/16 with 12 heads and MAE's ViT-B as its teacher, 400 epochs, 224 px.

paper: arXiv 2404.12210; numbers as in the released recipe (wangsr126/MAE-Lite)
batch 4096   reported fine-tune top-1: 78.4 (300 epochs)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/d-mae-lite_vit-ti_400e.py 8 --data DATA \
    --cfg-options model.teacher.checkpoint=mae_pretrain_vit_base.pth

The teacher is MAE's ViT-B of 1600 epochs, from facebookresearch/mae, or one of mae_vit-b_1600e.py.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['mae-lite_vit-ti_400e.py']

model = dict(
    type='DMAE',
    teacher=dict(type='BackboneTeacher', checkpoint=None),
    distill=[
        dict(
            target=dict(type='RelationTarget', block=-1),    # the last block of both
            student=-1, adapter=True, weight=1.0)])
