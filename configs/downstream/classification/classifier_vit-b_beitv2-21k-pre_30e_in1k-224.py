"""BEiT v2's fine-tuning of a ViT-B, ImageNet-1K, 224 px, 30 epochs after ImageNet-21K.

paper: arXiv 2208.06366 and microsoft/unilm beit2/get_started_for_image_classification.md   batch 1024
reported top-1: 86.5 (86.458 printed)   reproduced here: not yet
tools/dist_train.sh configs/downstream/classification/classifier_vit-b_beitv2-21k-pre_30e_in1k-224.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

CKPT: fine-tuned on ImageNet-21K for 90 epochs after 1600 of pre-training. No Mixup, no CutMix.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['classifier_vit-b_beitv2-pre_100e_in1k-224.py']
protocol = dict(name='classifier-vit-b-beitv2-21k', arch='base', framework='')

epochs = 30
model = dict(
    backbone=dict(drop_path_rate=0.1), data_preprocessor=dict(mixup=0.0, cutmix=0.0))
optim_wrapper = dict(optimizer=dict(lr=5e-5), paramwise_cfg=dict(layer_decay=0.75))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True,
        warmup=20, start_ratio=1e-6 / 5e-5, min_ratio=1e-6 / 5e-5, peak_in_warmup=True,
        end=epochs)]
train_cfg = dict(max_epochs=epochs)
