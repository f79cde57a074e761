"""Two-branch tracker on a Swin of any size, four sets, 300 epochs of 60 000 pairs.

No published tracker: crops, head, losses, data and schedule are OSTrack-256's   batch 128
reported: none   reproduced here: not yet
mimbench eval CKPT --protocol two-branch-swin --data DATA --out results    (Swin-T to L)
"""
_base_ = [
    '../../_base_/models/two-branch.py',
    '../../_base_/datasets/tracking_four-sets.py',
    '../../_base_/ostrack_300e.py',
    '../../_base_/runtime.py',
]
default_scope = 'downstream'
protocol = dict(
    name='two-branch-swin', version='1', task='tracking', tier='full', family='swin',
    by_arch={
        'tiny': {}, 'small': {}, 'base': {},
        'large': {'model.backbone.drop_path_rate': 0.2}})
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=4680))
log_processor = dict(by_epoch=False)
