"""TinyMIM at the size of the demo, with the model of configs/pretrain/mae-lite_demo.py as teacher.

Not a published recipe: it shows the whole path, its numbers compare with nothing in a paper.
tools/train.py configs/pretrain/tinymim_demo.py --data DATA \
    --cfg-options model.target.teacher.checkpoint=work_dirs/mae-lite_demo/epoch_10.pth
"""
_base_ = ['mae-lite_demo.py']

model = dict(
    _delete_=True,
    type='TinyMIM',
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=64, depth=6, num_heads=4),
        img_size=64, patch_size=8, pos_embed='sincos'),
    target=dict(
        type='TokenRelationTarget', block=-1,
        teacher=dict(
            type='BackboneTeacher', checkpoint='work_dirs/mae-lite_demo/epoch_10.pth')))
train_dataloader = dict(dataset=dict(masker=None, jitter=0.4, jitter_target=False))
