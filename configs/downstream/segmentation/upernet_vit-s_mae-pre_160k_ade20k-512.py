"""UperNet on a plain ViT-S, ADE20K, 512 px, 160k iterations of 16 images: MAE's settings.

batch 16   reported mIoU: 42.8 (MAE, ImageNet-1K; TinyMIM README)   reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_vit-s_mae-pre_160k_ade20k-512.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

No release has this size: rate, decay and drop path are those of ViT-B.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['upernet_vit-b_mae-pre_160k_ade20k-512.py']
protocol = dict(name='upernet-vit-s-mae', arch='small')

width = 384
model = dict(
    backbone=dict(arch='small'),
    neck=dict(in_channels=width),
    decode_head=dict(in_channels=[width] * 4, channels=width),
    auxiliary_head=dict(in_channels=width))
