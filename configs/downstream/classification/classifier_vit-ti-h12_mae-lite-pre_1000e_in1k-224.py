"""MAE-Lite's fine-tuning of a ViT-Ti with relative positions, ImageNet-1K, 224 px, 1000 epochs.

paper: arXiv 2404.12210 and wangsr126/MAE-Lite projects/eval_tools/finetuning_rpe_exp.py   batch 1024
reported top-1: 79.0 (MAE, 400 epochs), 79.4 (D2-MAE)   reproduced here: not yet
tools/dist_train.sh configs/downstream/classification/classifier_vit-ti-h12_mae-lite-pre_1000e_in1k-224.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Each block adds a table of relative positions that starts at zero; absolute ones stay.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['classifier_vit-ti-h12_mae-lite-pre_300e_in1k-224.py']
protocol = dict(name='classifier-vit-ti-h12-mae-lite-rpe', framework='')

epochs = 1000
model = dict(backbone=dict(rel_pos_bias='per_block'))
optim_wrapper = dict(paramwise_cfg=dict(decayed=['relative_position_bias_table']))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True,
        warmup=5, min_ratio=1e-6 / 4e-3, end=epochs)]
train_cfg = dict(max_epochs=epochs)
