"""BEiT's 160k iterations on ADE20K, which others took over: AdamW, linear warm-up, a line to 0.

Rate and layer decay are BEiT v2's of size base; recipes state their own.
"""

iterations = 160000

# The rate is that of 16 images; the Runner scales it by (real batch) / 16.
auto_scale_lr = dict(enable=True, base_batch_size=16)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=5e-5, betas=(0.9, 0.999), weight_decay=0.05),
    # As published, where cls_token and positions, meant to be exempt, are compared without prefix.
    paramwise_cfg=dict(
        layer_decay=0.75, decayed=['relative_position_bias_table', 'cls_token', 'pos_embed']))
# Both from the first iteration: the line's values times the warm-up's, as mmcv 1 did. mmengine's
# warm-up ends one iteration before its `end`: after 1500 iterations of mmcv's.
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1501),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=0, end=iterations)]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=16000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
