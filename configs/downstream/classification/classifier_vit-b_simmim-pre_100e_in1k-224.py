"""SimMIM's fine-tuning of a ViT-B, ImageNet-1K, 224 px, 100 epochs.

paper: arXiv 2111.09886, Table 6 and microsoft/SimMIM configs/vit_base__800ep   batch 2048
reported top-1: 83.8 (pre-trained 800 epochs)   reproduced here: not yet
tools/dist_train.sh configs/downstream/classification/classifier_vit-b_simmim-pre_100e_in1k-224.py 16 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Every block takes a copy of the one table of relative positions that pre-training shared.
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
    name='classifier-vit-b-simmim', version='1', task='classification', tier='full', family='vit',
    arch='base', framework='end-to-end fine-tune 224px')

model = dict(
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, patch_size=16,
        pos_embed='none', rel_pos_bias='per_block', qkv_bias='qv', layer_scale=0.1,
        final_norm=False, fc_norm=True, drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=None)))
auto_scale_lr = dict(base_batch_size=2048)
optim_wrapper = dict(
    clip_grad=dict(max_norm=5.0),
    optimizer=dict(lr=1.25e-3 * 2048 / 512),
    paramwise_cfg=dict(layer_decay=0.65, decayed=['relative_position_bias_table']))
# Start and end are one rate for all layers; the cosine counts from the first update, and every
# update takes the rate of the one before.
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True,
        warmup=20, start_ratio=2.5e-7 / 1.25e-3, min_ratio=2.5e-7 / 1.25e-3, scale_ends=False,
        drop_after_warmup=True, one_step_late=True, end={{_base_.epochs}})]
