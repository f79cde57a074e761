"""Mask R-CNN with FPN on a Hiera's four maps, COCO-style data, minutes on one core: ranks nothing.

All but the backbone as in mask-rcnn_swin_smoke_coco.py.
"""
_base_ = ['mask-rcnn_swin_smoke_coco.py']
protocol = dict(name='mask-rcnn-hiera-smoke', family='hiera')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMHiera',
        arch=dict(embed_dim=48, depths=(1, 2, 3, 1), num_heads=1),
        img_size=128, q_pool=3, out_indices=(0, 1, 2, 3), drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)))
