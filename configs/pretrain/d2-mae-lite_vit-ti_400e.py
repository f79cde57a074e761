"""D2-MAE-Lite, ViT-Ti/16 with 12 heads and MAE's ViT-B as its teacher, 400 epochs, 224 px.

paper: arXiv 2404.12210; numbers as in the released recipe (wangsr126/MAE-Lite)
batch 4096   reported fine-tune top-1: 78.7 (300 epochs)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/d2-mae-lite_vit-ti_400e.py 8 --data DATA \
    --cfg-options model.teacher.checkpoint=mae_pretrain_vit_base.pth

Pixels are decoded from the eighth block, so that `norm` is that block's: fine-tune with a norm of
its own, as the published recipes do. Relations are those of a 13th block, which no task sees.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['d-mae-lite_vit-ti_400e.py']

model = dict(
    decode_from=7,    # counts from 0
    distill=[
        dict(
            target=dict(type='RelationTarget', block=-1),
            student=-1, extra_block=True, adapter=True, weight=1.0)])
