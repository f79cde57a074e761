"""UperNet on iBOT large, ADE20K, 512 px, 160k iterations of 16 images.

paper: arXiv 2111.07832; numbers as in the released recipe   batch 16
reported mIoU: none in the release's README   reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_vit-l_ibot-pre_160k_ade20k-512.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['upernet_vit-b_ibot-pre_160k_ade20k-512.py']
protocol = dict(name='upernet-vit-l-ibot', arch='large')

width = 1024
model = dict(
    backbone=dict(arch='large', out_indices=(7, 11, 15, 23), drop_path_rate=0.2),
    neck=dict(in_channels=width),
    decode_head=dict(in_channels=[width] * 4, channels=width),
    auxiliary_head=dict(in_channels=width))
optim_wrapper = dict(optimizer=dict(lr=2e-5), paramwise_cfg=dict(layer_decay=0.95))
