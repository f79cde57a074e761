"""UperNet on Swin-T, ADE20K, 512 px, 160k iterations of 16 images.

paper: arXiv 2103.14030; numbers as in SwinTransformer/Swin-Transformer-Semantic-Segmentation
reported mIoU: 44.51 (supervised, ImageNet-1K; README there), MoBY 44.06   batch 16
reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_swin-t_sup-pre_160k_ade20k-512.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

A checkpoint keeps its windows; the released ones have 7 x 7 tokens.
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
    name='upernet-swin-t', version='1', task='segmentation', tier='full', family='swin',
    arch='tiny', framework='UperNet 160k 512x512 single-scale')
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=16000))
log_processor = dict(by_epoch=False)

widths = [96 * 2**i for i in range(4)]
model = dict(
    backbone=dict(
        type='mim_backbones.MIMSwin', arch='tiny', img_size=512, out_indices=(0, 1, 2, 3),
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    decode_head=dict(in_channels=widths),
    auxiliary_head=dict(in_channels=widths[2]))
# mmengine's own groups: biases and the heads' norms are decayed, as published.
optim_wrapper = dict(
    constructor='DefaultOptimWrapperConstructor',
    optimizer=dict(lr=6e-5, weight_decay=0.01),
    paramwise_cfg=dict(
        _delete_=True,
        custom_keys=dict(
            absolute_pos_embed=dict(decay_mult=0.0),
            relative_position_bias_table=dict(decay_mult=0.0),
            norm=dict(decay_mult=0.0))))
