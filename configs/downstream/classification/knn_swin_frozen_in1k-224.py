"""Nearest pictures on a frozen Swin, ImageNet-1K, 224 px, one pass over the pictures.

The mean token; all else as in knn_vit_frozen_in1k-224.py.
"""
_base_ = ['knn_vit_frozen_in1k-224.py']
protocol = dict(name='knn-swin-in1k', family='swin')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMSwin', arch='base', img_size=224, window_size=7,
        drop_path_rate=0.0, init_cfg=dict(type='Pretrained', checkpoint=None)))
