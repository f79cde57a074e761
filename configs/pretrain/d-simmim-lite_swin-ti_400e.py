"""D2-SimMIM-Lite, a Swin of width 48 and SimMIM's of width 96 as its teacher, 400 epochs, 224 px.

paper: arXiv 2404.12210; numbers as in the released recipe (wangsr126/MAE-Lite,
simmim_distill_exp.py)
batch 2048   reported fine-tune top-1: 77.8 (300 epochs)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/d-simmim-lite_swin-ti_400e.py 8 --data DATA \
    --cfg-options model.teacher.checkpoint=swin_small_800e.pth.tar

The teacher is linked in the release (projects/simmim/SIMMIM.md), or a Swin of depths (2, 2, 6, 2)
of your own SimMIM at 224 px with windows of 7; its file holds the mask token. Pixels are decoded
before the third stage; relations are those of a 13th block, which no task sees.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['simmim-lite_swin-ti_400e.py']

model = dict(
    type='DSimMIM',
    # Rates rise to 0.1 at the 13th block, which has no branch to drop.
    backbone=dict(output_norm='none', drop_path_rate=0.1 * 11 / 12),
    decode_from=2,    # counts from 0; at stride 16
    teacher=dict(type='BackboneTeacher', checkpoint=None),
    distill=[
        dict(
            target=dict(type='RelationTarget', block=-1),
            student=-1, extra_block=True, adapter=True, weight=1.0)])
