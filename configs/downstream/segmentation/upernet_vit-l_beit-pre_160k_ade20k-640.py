"""UperNet on BEiT large, ADE20K, 640 px, 160k iterations of 16 images.

paper: arXiv 2106.08254; numbers as in the released recipe, where 16 images are two halves
reported mIoU: 56.33 (ImageNet-22K with labels; mmsegmentation's metafile)   batch 16
reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_vit-l_beit-pre_160k_ade20k-640.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['upernet_vit-b_beit-pre_160k_ade20k-640.py']
protocol = dict(name='upernet-vit-l-beit-640', arch='large')

width = 1024
model = dict(
    backbone=dict(arch='large',
        out_indices=(7, 11, 15, 23), layer_scale=1e-6, drop_path_rate=0.2),
    neck=dict(in_channels=width),
    decode_head=dict(in_channels=[width] * 4, channels=width),
    auxiliary_head=dict(in_channels=width))
optim_wrapper = dict(optimizer=dict(lr=2e-5), paramwise_cfg=dict(layer_decay=0.95))
