"""UperNet on BEiT base, ADE20K, 640 px, 160k iterations of 16 images.

paper: arXiv 2106.08254; numbers as in the released recipe, and in mmsegmentation's configs/beit
reported mIoU: 53.6 (ImageNet-22K with labels; BEiT README; mmsegmentation's run: 53.08)   batch 16
reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_vit-b_beit-pre_160k_ade20k-640.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

CKPT: one that was fine-tuned on ImageNet-22K; for one without labels nothing is released.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = [
    '../../_base_/models/upernet_ade20k.py',
    '../../_base_/datasets/ade20k_640px.py',
    '../../_base_/upernet_160k.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmseg'
protocol = dict(
    name='upernet-vit-b-beit-640', version='1', task='segmentation', tier='full', family='vit',
    arch='base', framework='UperNet 160k 640x640 single-scale')
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=16000))
log_processor = dict(by_epoch=False)

width = 768
model = dict(
    data_preprocessor=dict(size=(640, 640)),
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=640, patch_size=16,
        out_indices=(3, 5, 7, 11), final_norm=False, drop_path_rate=0.1,
        pos_embed='none', rel_pos_bias='per_block', qkv_bias='qv', layer_scale=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(
        type='mim_backbones.BlockPyramid',
        in_channels=width, patch_size=16, strides=(4, 8, 16, 32)),
    decode_head=dict(in_channels=[width] * 4, channels=width),
    auxiliary_head=dict(in_channels=width),
    test_cfg=dict(mode='slide', crop_size=(640, 640), stride=(426, 426)))
optim_wrapper = dict(optimizer=dict(lr=3e-5), paramwise_cfg=dict(layer_decay=0.9))
