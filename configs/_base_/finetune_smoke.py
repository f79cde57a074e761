"""Fine-tuning in about a minute on one core: AdamW, short warm-up, cosine.

The backbone takes a quarter of the heads' rate: at the full rate a few hundred steps of AdamW move
every weight by more than its size, and nothing is left of what pre-training found. The random
start reaches the same scores at either rate."""

iterations = 250

optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    clip_grad=dict(max_norm=1.0),
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=1.0, backbone_lr_mult=0.25))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=15),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.01, by_epoch=False, begin=15, end=iterations)]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
