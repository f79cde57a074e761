"""MAE's fine-tuning of a ViT-B, ImageNet-1K, 224 px, 100 epochs.

paper: arXiv 2111.06377, Table 9 and facebookresearch/mae FINETUNE.md   batch 1024
reported top-1: 83.6 (pre-trained 1600 epochs)   reproduced here: not yet
tools/dist_train.sh configs/downstream/classification/classifier_vit-b_mae-pre_100e_in1k-224.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

The mean of the patch tokens goes through a new norm; that of pre-training is dropped.
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
    name='classifier-vit-b-mae', version='1', task='classification', tier='full', family='vit',
    arch='base', framework='end-to-end fine-tune 224px')

model = dict(
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, patch_size=16,
        pos_embed='learned', final_norm=False, fc_norm=True, drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=None)))
optim_wrapper = dict(
    optimizer=dict(lr=5e-4 * 1024 / 256), paramwise_cfg=dict(layer_decay=0.65))
