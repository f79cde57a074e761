"""Mask R-CNN with FPN on a Hiera, COCO, 3x: 36 epochs at 480 to 800 px.

Hiera: arXiv 2306.00989, whose detection recipe is not released   batch 16
Inferred: data, heads and schedule are those of Swin-T 3x, drop path by size as of Swins.
reported: none   reproduced here: not yet
mimbench eval CKPT --protocol mask-rcnn-hiera-3x --data DATA --out results    (Hiera-T to L)
tools/dist_train.sh configs/downstream/detection/mask-rcnn_hiera_mae-pre_3x_coco.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
"""
_base_ = ['mask-rcnn_swin_sup-pre_3x_coco.py']
protocol = dict(
    name='mask-rcnn-hiera-3x', family='hiera', framework='',
    by_arch={
        '_delete_': True,
        'tiny': {}, 'small': {}, 'base': {},
        'base-plus': {'model.backbone.drop_path_rate': 0.3},
        'large': {'model.backbone.drop_path_rate': 0.3}})

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMHiera', arch='tiny', img_size=(800, 1344), q_pool=3,
        out_indices=(0, 1, 2, 3), drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(in_channels=[96, 192, 384, 768]))
optim_wrapper = dict(paramwise_cfg=dict(_delete_=True))
