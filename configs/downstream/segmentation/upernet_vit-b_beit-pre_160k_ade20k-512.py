"""UperNet on BEiT base, ADE20K, 512 px, 160k iterations of 16 images.

paper: arXiv 2106.08254; numbers as in the released recipe for a checkpoint without labels
batch 16   reported mIoU: 47.1 (BEiT, ImageNet-1K; ConvMAE README)   reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_vit-b_beit-pre_160k_ade20k-512.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = [
    '../../_base_/models/upernet_ade20k.py',
    '../../_base_/datasets/ade20k_512px.py',
    '../../_base_/upernet_160k.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmseg'
protocol = dict(
    name='upernet-vit-b-beit', version='1', task='segmentation', tier='full', family='vit',
    arch='base', framework='UperNet 160k 512x512 single-scale')
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=16000))
log_processor = dict(by_epoch=False)

width = 768
model = dict(
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=512, patch_size=16,
        out_indices=(3, 5, 7, 11), final_norm=False, drop_path_rate=0.1,
        pos_embed='none', rel_pos_bias='per_block', qkv_bias='qv', layer_scale=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/beit/epoch_800.pth')),
    neck=dict(
        type='mim_backbones.BlockPyramid',
        in_channels=width, patch_size=16, strides=(4, 8, 16, 32)),
    decode_head=dict(in_channels=[width] * 4, channels=width),
    auxiliary_head=dict(in_channels=width),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
optim_wrapper = dict(optimizer=dict(lr=7e-4), paramwise_cfg=dict(layer_decay=0.65))
