"""Mask R-CNN heads on a frozen Hiera, a fixed tenth of COCO, 640 px, 9k iterations of 16.

Its four maps and an FPN with LayerNorm. All else as in mask-rcnn_swin_frozen-9k_coco-tenth-640.py.
"""
_base_ = ['mask-rcnn_swin_frozen-9k_coco-tenth-640.py']
protocol = dict(name='mask-rcnn-hiera-frozen', family='hiera')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMHiera', arch='base', img_size=640,
        q_pool=3, out_indices=(0, 1, 2, 3), drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(in_channels=[96, 192, 384, 768]))
