"""Semantic FPN on MAE-Lite's ViT-Ti, ADE20K, 512 px, 160k iterations of 16 images.

paper: arXiv 2404.12210; numbers as in wangsr126/MAE-Lite, projects/eval_tools/seg   batch 16
reported mIoU: 39.0 (D2-MAE-Lite, ImageNet-1K), 42.8 (the same, then 1000 epochs with labels)
reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/semantic-fpn_vit-ti-h12_mae-lite-pre_160k_ade20k-512.py \
    8 --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Relative positions are added at zero, those of a checkpoint carried over; absolute ones stay.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = [
    '../../_base_/models/semantic-fpn_ade20k.py',
    '../../_base_/datasets/ade20k_512px.py',
    '../../_base_/upernet_160k.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmseg'
protocol = dict(
    name='semantic-fpn-vit-ti-h12', version='1', task='segmentation', tier='full', family='vit',
    arch='tiny-h12')
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=16000))
log_processor = dict(by_epoch=False)

iterations = 160000
optim_wrapper = dict(optimizer=dict(lr=1e-4), paramwise_cfg=dict(layer_decay=0.8))
# As mmsegmentation 1 runs it: the line starts where the warm-up ends.
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=1500, end=iterations)]
