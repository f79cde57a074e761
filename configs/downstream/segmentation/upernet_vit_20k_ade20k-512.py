"""UperNet on a plain ViT, fine-tuned on ADE20K, 512 px, 20k iterations of 16.

    four blocks, evenly spaced, no norm after them -> strides 4, 8, 16, 32 -> UperNet of 512 channels
    pyramid from blocks: BEiT, arXiv 2106.08254; relative positions, where it has some: carried over

python tools/train.py configs/downstream/segmentation/upernet_vit_20k_ade20k-512.py \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

An eighth of the published schedule, meant for about an hour on one GPU (not timed yet); compares
with no published row.
"""
_base_ = [
    '../../_base_/models/upernet_ade20k.py',
    '../../_base_/datasets/ade20k_512px.py',
    '../../_base_/upernet_160k.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmseg'
protocol = dict(
    name='upernet-vit-20k', version='1', task='segmentation', tier='proxy', family='vit',
    by_arch={
        'base': {},
        'large': {
            'model.backbone.drop_path_rate': 0.2,
            'optim_wrapper.paramwise_cfg.layer_decay': 0.85},
        'huge': {
            'model.backbone.drop_path_rate': 0.3,
            'optim_wrapper.paramwise_cfg.layer_decay': 0.9}})
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=5000))
log_processor = dict(by_epoch=False)

model = dict(
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=512, out_indices=(2, 5, 8, 11),
        final_norm=False, drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(
        type='mim_backbones.BlockPyramid',
        in_channels=768, patch_size=16, strides=(4, 8, 16, 32)),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
train_dataloader = dict(batch_size=16, num_workers=8)

iterations = 20000
optim_wrapper = dict(optimizer=dict(lr=1e-4), paramwise_cfg=dict(layer_decay=0.75, decayed=[]))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=0, end=iterations)]
train_cfg = dict(max_iters=iterations, val_interval=iterations)
