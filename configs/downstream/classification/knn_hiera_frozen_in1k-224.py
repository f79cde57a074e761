"""Nearest pictures on a frozen Hiera, ImageNet-1K, 224 px, one pass over the pictures.

The mean token; all else as in knn_vit_frozen_in1k-224.py.
"""
_base_ = ['knn_vit_frozen_in1k-224.py']
protocol = dict(name='knn-hiera-in1k', family='hiera')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMHiera', arch='base', img_size=224, q_pool=3,
        drop_path_rate=0.0, init_cfg=dict(type='Pretrained', checkpoint=None)))
