"""UperNet on Swin-L, ADE20K, 512 px, 160k iterations of 16 images.

paper: arXiv 2103.14030; numbers as in SwinTransformer/Swin-Transformer-Semantic-Segmentation
batch 16   reported mIoU: none at 512 px   reproduced here: not yet
tools/dist_train.sh configs/downstream/segmentation/upernet_swin-l_sup-pre_160k_ade20k-512.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Not in the release; mmsegmentation has this size at 512 px, with the settings of Swin-T.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['upernet_swin-t_sup-pre_160k_ade20k-512.py']
protocol = dict(name='upernet-swin-l', arch='large')

widths = [192 * 2**i for i in range(4)]
model = dict(
    backbone=dict(arch='large'),
    decode_head=dict(in_channels=widths),
    auxiliary_head=dict(in_channels=widths[2]))
