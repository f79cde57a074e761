"""Mask R-CNN heads on a frozen Swin, a fixed tenth of COCO, 640 px, 9k iterations of 16.

Its four maps, no norm after them, and an FPN with LayerNorm in place of the simple pyramid. All
else as in mask-rcnn_vit_frozen-9k_coco-tenth-640.py.
"""
_base_ = ['mask-rcnn_vit_frozen-9k_coco-tenth-640.py']
protocol = dict(name='mask-rcnn-swin-frozen', family='swin')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMSwin', arch='base', img_size=640,
        out_indices=(0, 1, 2, 3), small_maps='pad', output_norm='none', drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(
        _delete_=True, type='FPN', in_channels=[128, 256, 512, 1024], out_channels=256,
        num_outs=5, norm_cfg=dict(type='mim_backbones.LayerNorm2d', eps=1e-6)))
