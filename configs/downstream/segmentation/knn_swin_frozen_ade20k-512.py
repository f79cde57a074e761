"""Nearest patches on a frozen Swin, ADE20K, 512 px, one pass over the pictures.

The last two stages (strides 16 and 32) count alike: each of unit length, joined at stride 16. All
else as in knn_vit_frozen_ade20k-512.py.
"""
_base_ = ['knn_vit_frozen_ade20k-512.py']
protocol = dict(name='knn-swin', family='swin')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMSwin', arch='base', img_size=512,
        out_indices=(2, 3), small_maps='pad', output_norm='none', drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    decode_head=dict(in_channels=[512, 1024]))
