"""Two-branch tracker on a Hiera of any size, LaSOT alone, 100 epochs of 60 000 pairs.

No published tracker: crops, head, losses and rates are OSTrack-256's   batch 128
reported: none   reproduced here: not yet
mimbench eval CKPT --protocol two-branch-hiera-lasot --data DATA --out results    (Hiera-T to L)
"""
_base_ = ['two-branch_swin_100e_lasot-256.py']
protocol = dict(
    name='two-branch-hiera-lasot', family='hiera',
    by_arch={
        '_delete_': True,
        'tiny': {}, 'small': {}, 'base': {}, 'base-plus': {},
        'large': {'model.backbone.drop_path_rate': 0.2}})

model = dict(backbone=dict(
    _delete_=True, type='mim_backbones.MIMHiera', arch='tiny', img_size=256,
    out_indices=(2,), drop_path_rate=0.1, init_cfg=dict(type='Pretrained', checkpoint=None)))
