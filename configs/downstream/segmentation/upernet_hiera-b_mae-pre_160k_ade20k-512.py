"""UperNet on Hiera-B, ADE20K, 512 px, 160k iterations of 16 images: a protocol of our own.

paper: arXiv 2306.00989, which segments nothing on ADE20K   batch 16   reported mIoU: none
reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_hiera-b_mae-pre_160k_ade20k-512.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Inferred: heads and maps of Swin's UperNet; rate, layer decay and windows of MAE's ViT-B; drop path
of MAE's fine-tuning by size, 0.1 up to base-plus, 0.2 large, 0.3 huge.
"""
_base_ = [
    '../../_base_/models/upernet_ade20k.py',
    '../../_base_/datasets/ade20k_512px.py',
    '../../_base_/upernet_160k.py',
    '../../_base_/runtime.py',
]
default_scope = 'mmseg'
protocol = dict(
    name='upernet-hiera-b', version='1', task='segmentation', tier='full', family='hiera',
    arch='base')
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=16000))
log_processor = dict(by_epoch=False)

widths = [96 * 2**i for i in range(4)]
model = dict(
    backbone=dict(
        type='mim_backbones.MIMHiera', arch='base', img_size=512, out_indices=(0, 1, 2, 3),
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    decode_head=dict(in_channels=widths),
    auxiliary_head=dict(in_channels=widths[2]),
    # The released position tables belong to one size: windows, as on plain ViTs.
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
optim_wrapper = dict(optimizer=dict(lr=1e-4), paramwise_cfg=dict(layer_decay=0.65, decayed=[]))
