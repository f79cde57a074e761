"""ViTDet's 100 epochs of COCO in batches of 64: AdamW, short warm-up, two steps near the end."""

iterations = 184375  # 100 epochs * 118000 images / 64

# The rate is that of 64 images; the Runner scales it by (real batch) / 64.
auto_scale_lr = dict(enable=True, base_batch_size=64)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1),
    # Spared are the norms of blocks and the positions; biases, relative tables and the heads' norms
    # are decayed.
    paramwise_cfg=dict(layer_decay=0.7, exempt=['norm1', 'norm2', 'pos_embed']))
# mmengine's warm-up ends one iteration before its `end`: the full rate comes after 250.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=251),
    dict(type='MultiStepLR', by_epoch=False, milestones=[163889, 177546], gamma=0.1)]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=20000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
