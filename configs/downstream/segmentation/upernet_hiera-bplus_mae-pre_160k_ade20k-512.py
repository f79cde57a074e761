"""UperNet on Hiera-B+, ADE20K, 512 px, 160k iterations of 16 images: a protocol of our own.

batch 16   reported mIoU: none   reproduced here: not yet
what is inferred: upernet_hiera-b_mae-pre_160k_ade20k-512.py
tools/dist_train.sh configs/downstream/segmentation/upernet_hiera-bplus_mae-pre_160k_ade20k-512.py \
    8 --cfg-options model.backbone.init_cfg.checkpoint=CKPT
"""
_base_ = ['upernet_hiera-b_mae-pre_160k_ade20k-512.py']
protocol = dict(name='upernet-hiera-bplus', arch='base-plus')

widths = [112 * 2**i for i in range(4)]
model = dict(
    backbone=dict(arch='base-plus'),
    decode_head=dict(in_channels=widths),
    auxiliary_head=dict(in_channels=widths[2]))
