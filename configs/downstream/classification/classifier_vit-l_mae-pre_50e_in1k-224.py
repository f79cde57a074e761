"""MAE's fine-tuning of a ViT-L, ImageNet-1K, 224 px, 50 epochs.

paper: arXiv 2111.06377, Table 9 and facebookresearch/mae FINETUNE.md   batch 1024
reported top-1: 85.9 (pre-trained 1600 epochs)   reproduced here: not yet
tools/dist_train.sh configs/downstream/classification/classifier_vit-l_mae-pre_50e_in1k-224.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['classifier_vit-b_mae-pre_100e_in1k-224.py']
protocol = dict(
    name='classifier-vit-l-mae', arch='large', framework='end-to-end fine-tune 224px 50e')

epochs = 50
model = dict(backbone=dict(arch='large', drop_path_rate=0.2))
optim_wrapper = dict(
    optimizer=dict(lr=1e-3 * 1024 / 256), paramwise_cfg=dict(layer_decay=0.75))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True,
        warmup=5, min_ratio=1e-6 / 4e-3, end=epochs)]
train_cfg = dict(max_epochs=epochs)
