"""Nearest patches on a frozen Hiera, ADE20K, 512 px, one pass over the pictures.

The last two stages (strides 16 and 32) count alike: each of unit length, joined at stride 16. All
else as in knn_vit_frozen_ade20k-512.py.
"""
_base_ = ['knn_vit_frozen_ade20k-512.py']
protocol = dict(name='knn-hiera', family='hiera')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMHiera', arch='base', img_size=512,
        q_pool=3, out_indices=(2, 3), drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    decode_head=dict(in_channels=[384, 768]))
