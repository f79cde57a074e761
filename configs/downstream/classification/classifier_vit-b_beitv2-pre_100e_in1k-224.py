"""BEiT v2's fine-tuning of a ViT-B, ImageNet-1K, 224 px, 100 epochs.

paper: arXiv 2208.06366 and microsoft/unilm beit2/get_started_for_image_classification.md   batch 1024
reported top-1: 85.5 (pre-trained 1600 epochs)   reproduced here: not yet
tools/dist_train.sh configs/downstream/classification/classifier_vit-b_beitv2-pre_100e_in1k-224.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Of a checkpoint of 300 epochs: layer_decay=0.65 and drop_path_rate=0.1; reported 85.0. The length of
the warm-up is released for checkpoints of ImageNet-21K only, and taken over here.
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
    name='classifier-vit-b-beitv2', version='1', task='classification', tier='full', family='vit',
    arch='base', framework='end-to-end fine-tune 224px')

model = dict(
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, patch_size=16,
        pos_embed='none', rel_pos_bias='per_block', qkv_bias='qv', layer_scale=0.1,
        final_norm=False, fc_norm=True, drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint=None)))
optim_wrapper = dict(
    optimizer=dict(lr=5e-4),
    paramwise_cfg=dict(layer_decay=0.6, decayed=['relative_position_bias_table']))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True,
        warmup=20, start_ratio=1e-6 / 5e-4, min_ratio=1e-6 / 5e-4, peak_in_warmup=True,
        end={{_base_.epochs}})]
