"""D-MAE at the size of the demo, with the model of configs/pretrain/mae-lite_demo.py as teacher.

Not a published recipe: it shows the whole path, its numbers compare with nothing in a paper. Any
ViT pre-trained here may teach that has patches of 8 px, a CLS token and no relative positions.
tools/train.py configs/pretrain/d-mae-lite_demo.py --data DATA \
    --cfg-options model.teacher.checkpoint=work_dirs/mae-lite_demo/epoch_10.pth
"""
_base_ = ['mae-lite_demo.py']

model = dict(
    type='DMAE',
    teacher=dict(type='BackboneTeacher', checkpoint='work_dirs/mae-lite_demo/epoch_10.pth'),
    distill=[dict(target=dict(type='RelationTarget', block=-1), student=-1)])
