"""100 epochs of classification in batches of 1024: AdamW, warm-up of 5 epochs, a cosine."""

epochs = 100

# 1024 images a step, on any number of processes that divides them.
auto_scale_lr = dict(enable=False, base_batch_size=1024)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.65))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True,
        warmup=5, min_ratio=1e-6 / 2e-3, end=epochs)]

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
