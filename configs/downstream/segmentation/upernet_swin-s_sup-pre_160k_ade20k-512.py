"""UperNet on Swin-S, ADE20K, 512 px, 160k iterations of 16 images.

paper: arXiv 2103.14030; numbers as in SwinTransformer/Swin-Transformer-Semantic-Segmentation
batch 16   reported mIoU: 47.64 (supervised, ImageNet-1K; README there)   reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_swin-s_sup-pre_160k_ade20k-512.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['upernet_swin-t_sup-pre_160k_ade20k-512.py']
protocol = dict(name='upernet-swin-s', arch='small')

widths = [96 * 2**i for i in range(4)]
model = dict(
    backbone=dict(arch='small'),
    decode_head=dict(in_channels=widths),
    auxiliary_head=dict(in_channels=widths[2]))
