"""UperNet on BEiT v2 large, ADE20K, 512 px, 160k iterations of 16 images.

paper: arXiv 2208.06366, ADE20K with UperNet; numbers as in the released recipe
reported mIoU: 56.7 (pre-training on ImageNet-1K, 1600 epochs)   reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_vit-l_beitv2-pre_160k_ade20k-512.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Of a checkpoint that was fine-tuned on ImageNet-21K, lr=3e-5; reported 57.5.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['upernet_vit-b_beitv2-pre_160k_ade20k-512.py']
protocol = dict(name='upernet-vit-l-beitv2', arch='large')

width = 1024
model = dict(
    backbone=dict(
        arch='large', out_indices=(7, 11, 15, 23), layer_scale=1e-6, drop_path_rate=0.2,
        init_cfg=dict(checkpoint='work_dirs/beitv2_large_1600e/epoch_1600.pth')),
    neck=dict(in_channels=width),
    decode_head=dict(in_channels=[width] * 4, channels=width),
    auxiliary_head=dict(in_channels=width))
optim_wrapper = dict(optimizer=dict(lr=4e-5), paramwise_cfg=dict(layer_decay=0.9))
