"""One-stream tracker on ViT-B (OSTrack-256), four sets, 300 epochs of 60 000 pairs.

paper: arXiv 2203.11991, table 1; numbers as in botaoye/OSTrack   batch 128
reported AUC on LaSOT: 69.1 (MAE, ImageNet-1K; README of the release)
about 24 hours on four V100 there   reproduced here: not yet
tools/dist_train.sh configs/downstream/tracking/one-stream_vit-b_mae-pre_300e_four-sets-256.py 4 \
    --data DATA --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = [
    '../../_base_/models/one-stream.py',
    '../../_base_/datasets/tracking_four-sets.py',
    '../../_base_/ostrack_300e.py',
    '../../_base_/runtime.py',
]
default_scope = 'downstream'
protocol = dict(
    name='one-stream-b-256', version='1', task='tracking', tier='full', family='vit', arch='base',
    framework='OSTrack 256, four sets, 300 epochs')
custom_hooks = [dict(type='downstream.EliminationSchedule', iterations=468)]
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=4680))
log_processor = dict(by_epoch=False)
