"""UperNet on ADE20K-style data in about a minute on one core: shows the path, ranks nothing.

python tools/train.py configs/downstream/segmentation/upernet_vit_smoke_ade.py \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
`mimbench eval CKPT --tasks segmentation --tier smoke` fits backbone, classes and roots to what it gets.
"""
_base_ = [
    '../../_base_/models/upernet_vit.py',
    '../../_base_/datasets/ade_128px.py',
    '../../_base_/finetune_smoke.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmseg'
default_hooks = dict(
    logger=dict(interval=10, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval={{_base_.iterations}}))
log_processor = dict(by_epoch=False)
