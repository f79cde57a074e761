"""UperNet on iBOT base, ADE20K, 512 px, 160k iterations of 16 images.

paper: arXiv 2111.07832; numbers as in the released recipe and its README   batch 16
reported mIoU: 50.0 (iBOT, ImageNet-1K; iBOT README)   reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_vit-b_ibot-pre_160k_ade20k-512.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

No relative positions: those of a checkpoint are left out.
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
    name='upernet-vit-b-ibot', version='1', task='segmentation', tier='full', family='vit',
    arch='base', framework='UperNet 160k 512x512 single-scale')
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=16000))
log_processor = dict(by_epoch=False)

width = 768
model = dict(
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=512, patch_size=16,
        # The final norm on each map.
        out_indices=(3, 5, 7, 11), output_norm='each', drop_path_rate=0.1, rel_pos_bias='none',
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(
        type='mim_backbones.BlockPyramid',
        in_channels=width, patch_size=16, strides=(4, 8, 16, 32)),
    decode_head=dict(in_channels=[width] * 4, channels=width),
    auxiliary_head=dict(in_channels=width),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
optim_wrapper = dict(optimizer=dict(lr=8e-5), paramwise_cfg=dict(layer_decay=0.65))
