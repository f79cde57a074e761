"""Fine-tuning of a Hiera on folders of classes, 64 px, minutes on one core: ranks nothing.

All but the backbone as in classifier_vit_smoke_in1k.py.
"""
_base_ = ['classifier_vit_smoke_in1k.py']
protocol = dict(name='classifier-hiera-smoke', family='hiera')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMHiera',
        arch=dict(embed_dim=48, depths=(1, 2, 3, 1), num_heads=1),
        img_size=64, q_pool=3, fc_norm=True, drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)))
