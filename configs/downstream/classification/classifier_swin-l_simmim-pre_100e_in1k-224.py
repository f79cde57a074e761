"""SimMIM's fine-tuning of a Swin-L, ImageNet-1K, 224 px in windows of 14, 100 epochs.

paper: arXiv 2111.09886 and microsoft/SimMIM configs/swin_large__800ep   batch 2048
reported top-1: 85.4 (pre-trained 800 epochs at 192 px)   reproduced here: not yet
tools/dist_train.sh configs/downstream/classification/classifier_swin-l_simmim-pre_100e_in1k-224.py 16 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['classifier_swin-b_simmim-pre_100e_in1k-224.py']
protocol = dict(name='classifier-swin-l-simmim', arch='large')

model = dict(backbone=dict(arch='large', window_size=14, drop_path_rate=0.2))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.7))
