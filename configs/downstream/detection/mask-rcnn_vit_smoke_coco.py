"""Mask R-CNN on COCO-style data in about a minute on one core: shows the path, ranks nothing.

python tools/train.py configs/downstream/detection/mask-rcnn_vit_smoke_coco.py \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
`mimbench eval CKPT --tasks detection --tier smoke` fits backbone, classes and roots to what it gets.
"""
_base_ = [
    '../../_base_/models/mask-rcnn_vit.py',
    '../../_base_/datasets/coco_128px.py',
    '../../_base_/finetune_smoke.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmdet'
default_hooks = dict(
    logger=dict(interval=10, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval={{_base_.iterations}}))
log_processor = dict(by_epoch=False)
