"""UperNet on a Hiera's four maps, ADE20K-style data, minutes on one core: ranks nothing.

All but the backbone as in upernet_swin_smoke_ade.py.
"""
_base_ = ['upernet_swin_smoke_ade.py']
protocol = dict(name='upernet-hiera-smoke', family='hiera')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMHiera',
        arch=dict(embed_dim=48, depths=(1, 2, 3, 1), num_heads=1),
        img_size=128, q_pool=3, out_indices=(0, 1, 2, 3), drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)))
