"""UperNet on a plain ViT-L, ADE20K, 512 px, 160k iterations of 16 images: MAE's settings.

batch 16   reported mIoU: none confirmed   reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_vit-l_mae-pre_160k_ade20k-512.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Rate, decay and drop path as in the config for MAE-L of lxtGH/CAE, the only one released.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['upernet_vit-b_mae-pre_160k_ade20k-512.py']
protocol = dict(name='upernet-vit-l-mae', arch='large')

width = 1024
model = dict(
    backbone=dict(arch='large', out_indices=(7, 11, 15, 23), drop_path_rate=0.2),
    neck=dict(in_channels=width),
    decode_head=dict(in_channels=[width] * 4, channels=width),
    auxiliary_head=dict(in_channels=width))
optim_wrapper = dict(optimizer=dict(lr=4e-4))
