"""UperNet on a plain ViT-H, ADE20K, 512 px, 160k iterations of 16 images: MAE's settings.

batch 16   reported mIoU: none   reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_vit-h_mae-pre_160k_ade20k-512.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

No release has this size: rate and decay are those of ViT-L, drop path is MAE's in fine-tuning, the
blocks are evenly spaced. Patches of 16 px: MAE's, of 14 px, are first resized, as for ViTDet.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['upernet_vit-b_mae-pre_160k_ade20k-512.py']
protocol = dict(name='upernet-vit-h-mae', arch='huge')

width = 1280
model = dict(
    backbone=dict(arch='huge', out_indices=(7, 15, 23, 31), drop_path_rate=0.3),
    neck=dict(in_channels=width),
    decode_head=dict(in_channels=[width] * 4, channels=width),
    auxiliary_head=dict(in_channels=width))
optim_wrapper = dict(optimizer=dict(lr=4e-4))
