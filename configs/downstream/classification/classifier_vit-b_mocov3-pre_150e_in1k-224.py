"""MoCo v3's fine-tuning of a ViT-B, ImageNet-1K, 224 px, 150 epochs: DeiT's training as it is.

paper: arXiv 2104.02057 and facebookresearch/moco-v3 README.md, facebookresearch/deit main.py   batch 1024
reported top-1: 83.2 (pre-trained 300 epochs)   reproduced here: not yet
tools/dist_train.sh configs/downstream/classification/classifier_vit-b_mocov3-pre_150e_in1k-224.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

The CLS token after the final norm; one rate for all layers, that changes from epoch to epoch.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = [
    '../../_base_/models/classifier.py',
    '../../_base_/datasets/imagenet_224px.py',
    '../../_base_/classifier_100e.py',
    '../../_base_/runtime.py',
]
default_scope = 'downstream'
protocol = dict(
    name='classifier-vit-b-mocov3', version='1', task='classification', tier='full', family='vit',
    arch='base', framework='DeiT recipe 150e')

epochs = 150
model = dict(
    pool='cls', head_std=0.02,
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, patch_size=16,
        pos_embed='learned', drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=None)))
optim_wrapper = dict(
    optimizer=dict(lr=5e-4 * 1024 / 512), paramwise_cfg=dict(layer_decay=1.0))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', by_epoch=True, warmup=5, start_ratio=1e-6 / 1e-3,
        min_ratio=1e-5 / 1e-3, drop_after_warmup=True, one_step_late=True, end=epochs)]
train_cfg = dict(max_epochs=epochs)
