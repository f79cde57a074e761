"""UperNet on Hiera-T, ADE20K, 512 px, 160k iterations of 16 images: a protocol of our own.

batch 16   reported mIoU: none   reproduced here: not yet
what is inferred: upernet_hiera-b_mae-pre_160k_ade20k-512.py
tools/dist_train.sh configs/downstream/segmentation/upernet_hiera-t_mae-pre_160k_ade20k-512.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
"""
_base_ = ['upernet_hiera-b_mae-pre_160k_ade20k-512.py']
protocol = dict(name='upernet-hiera-t', arch='tiny')

widths = [96 * 2**i for i in range(4)]
model = dict(
    backbone=dict(arch='tiny'),
    decode_head=dict(in_channels=widths),
    auxiliary_head=dict(in_channels=widths[2]))
