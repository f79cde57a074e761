"""Mask R-CNN with FPN on a Swin's four maps, COCO-style data, minutes on one core: ranks nothing.

    Swin -> strides 4, 8, 16, 32 -> FPN -> RPN -> boxes and masks
    FPN: arXiv 1612.03144

Everything but backbone and pyramid is the plain ViT's; anchors of 12 px come with the finest level.
"""
_base_ = ['mask-rcnn_vit_smoke_coco.py']
protocol = dict(name='mask-rcnn-swin-smoke', family='swin')

strides = [4, 8, 16, 32]
finest = dict(featmap_strides=strides[:1])
model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMSwin',
        arch=dict(embed_dim=48, depths=(2, 2, 2, 2), num_heads=(3, 6, 12, 24)),
        img_size=128, out_indices=(0, 1, 2, 3), drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(
        _delete_=True, type='FPN', in_channels=[48, 96, 192, 384], out_channels=64, num_outs=4),
    rpn_head=dict(anchor_generator=dict(strides=strides)),
    roi_head=dict(bbox_roi_extractor=finest, mask_roi_extractor=finest))
