"""MAE's linear probe of a ViT-L, ImageNet-1K, 224 px, 50 epochs.

paper: arXiv 2111.06377, Table 10 and facebookresearch/mae FINETUNE.md   batch 16384
reported top-1: 76.0 (pre-trained 1600 epochs)   reproduced here: not yet
tools/dist_train.sh configs/downstream/classification/linear_vit-l_mae-pre_50e_in1k-224.py 128 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['linear_vit-b_mae-pre_90e_in1k-224.py']
protocol = dict(name='linear-vit-l-mae', arch='large')

epochs = 50
model = dict(backbone=dict(arch='large', patch_size=16))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True,
        warmup=10, min_ratio=0.0, end=epochs)]
train_cfg = dict(max_epochs=epochs)
