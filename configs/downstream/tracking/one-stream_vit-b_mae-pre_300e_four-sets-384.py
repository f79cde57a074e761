"""One-stream tracker on ViT-B at 384 px (OSTrack-384), four sets, 300 epochs of 60 000 pairs.

paper: arXiv 2203.11991, table 1; numbers as in botaoye/OSTrack   batch 128
reported AUC on LaSOT: 71.1 (MAE, ImageNet-1K; README of the release)   reproduced here: not yet
tools/dist_train.sh configs/downstream/tracking/one-stream_vit-b_mae-pre_300e_four-sets-384.py 4 \
    --data DATA --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['one-stream_vit-b_mae-pre_300e_four-sets-256.py']
protocol = dict(name='one-stream-b-384', framework='OSTrack 384, four sets, 300 epochs')

crops = dict(template_size=192, search_size=384, template_factor=2.0, search_factor=5.0)
model = dict(backbone=dict(img_size=384), **crops)
train_dataloader = dict(dataset=dict(jitter=dict(scale=0.5, shift=4.5), **crops))
