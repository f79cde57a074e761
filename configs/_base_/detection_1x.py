"""12 epochs of COCO in batches of 16: AdamW, short warm-up, steps after epochs 8 and 11."""

# The rate is that of 16 images; the Runner scales it by (real batch) / 16.
auto_scale_lr = dict(enable=True, base_batch_size=16)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05))
# mmengine's warm-up ends one iteration before its `end`: the full rate comes after 500.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=501),
    dict(type='MultiStepLR', by_epoch=True, milestones=[8, 11], gamma=0.1)]

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
