"""Linear probe of a frozen Hiera, ADE20K, 512 px, 20k iterations of 16 views.

The last two stages (strides 16 and 32; there are no norms), joined at stride 16. All else as in
linear_vit_frozen-20k_ade20k-512.py.
"""
_base_ = ['linear_vit_frozen-20k_ade20k-512.py']
protocol = dict(name='linear-hiera-20k', family='hiera')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMHiera', arch='base', img_size=512,
        q_pool=3, out_indices=(2, 3), drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    decode_head=dict(in_channels=[384, 768]))
