"""Mask R-CNN heads on a frozen plain ViT, a fixed tenth of COCO, 640 px, 9k iterations of 16.

    last block, after its final norm where the checkpoint has one -> simple pyramid, strides 4 to 64
    -> RPN -> boxes and masks; pyramid and heads of ViTDet, arXiv 2203.16527, are trained
    every block attends globally, as in pre-training
    2 views of each picture, drawn by seed: longer side 640, flip; about 12 passes over the pictures

python tools/train.py configs/downstream/detection/mask-rcnn_vit_frozen-9k_coco-tenth-640.py \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Meant for about an hour on one GPU, not timed yet; compares with no published row. The tenth is a rule on the images' ids; a data set
of fewer than 1,000 images is taken whole (downstream/detection/tenth.py). Features are computed
once and kept on disk, up to `model.cache_bytes` (0: nothing is kept) below `model.cache_folder`;
that changes no number.
"""
_base_ = [
    '../../_base_/models/mask-rcnn_vitdet.py',
    '../../_base_/datasets/coco-tenth_640px.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmdet'
custom_imports = dict(imports=['downstream.frozen.detector', 'downstream.detection.tenth'])
protocol = dict(
    name='mask-rcnn-vit-frozen', version='1', task='detection', tier='proxy', family='vit')
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=3000))
log_processor = dict(by_epoch=False)
custom_hooks = [dict(type='downstream.KeepFeatures')]

model = dict(
    type='downstream.FrozenMaskRCNN',
    cache_bytes=64 * 2**30,
    cache_folder=None,  # $XDG_CACHE_HOME/mimbench/features
    data_preprocessor=dict(pad_size_divisor=640),  # squares, whatever else is in the batch
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMViT', arch='base', img_size=640, out_indices=(11,),
        drop_path_rate=0.0, init_cfg=dict(type='Pretrained', checkpoint=None)))

iterations = 9000
auto_scale_lr = dict(enable=False, base_batch_size=16)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    clip_grad=dict(max_norm=1.0),
    optimizer=dict(type='AdamW', lr=2e-4, betas=(0.9, 0.999), weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=250),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=250, end=iterations)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
